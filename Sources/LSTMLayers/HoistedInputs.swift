internal import CLSTMKernels
internal import LSTMKernels

/// The products of the inputs with their weights, made for many timesteps at once, so that those weights are read once for
/// all of them: when a batch has so few rows that a step does little but read weights, and when a layer has so many weights
/// that they do not stay in the caches from step to step.
struct HoistedInputs {
  /// Of all timesteps, those that are made at once.
  private var rows: Range<Int>
  /// At most so many.
  private let room: Int
  private let weights: Floats
  /// Where the products lie: in training in the gates, where there is a place for every row, else those that are made at
  /// once.
  private let begins: MutableFloats
  private let keepsAll: Bool
  /// Floats of a block.
  private let blockSize: Int

  /// The rows of a batch that are few, and the rows made at once then.
  private static let (few, fewAtOnce) = (4, 64)
  /// The rows made at once with many weights; a batch of more than half of them has no use for it.
  private static let manyAtOnce = 256
  /// Bytes of the inputs' weights that are many: with them the recurrent ones have no room beside the rest.
  private static let manyWeights = 1 << 20

  /// The rows that are made at once, of all timesteps; 0: none.
  private static func rows(_ layer: RecurrentLayer, steps: Int, batch: Int, _ mode: Mode) -> Int {
    guard mode != .stream, steps > 1, layer.canHoistInputs else { return 0 }
    if mode == .predict, batch <= few { return min(steps * batch, fewAtOnce) }
    let bytes = layer.inputs * layer.cell.weightGates * layer.units * MemoryLayout<Float>.stride
    return bytes >= manyWeights && batch <= manyAtOnce / 2 ? min(steps, manyAtOnce / batch) * batch : 0
  }

  /// The rows that a place of their own is needed for.
  static func placed(_ layer: RecurrentLayer, steps: Int, batch: Int, _ mode: Mode) -> Int {
    mode == .train ? 0 : rows(layer, steps: steps, batch: batch, mode)
  }

  /// Readies a worker's steps, unless the inputs are to be multiplied step by step.
  init?(_ loop: TimeLoop, _ step: inout lstm_cell_forward) {
    let (layer, x) = (loop.layer, loop.x)
    room = HoistedInputs.rows(layer, steps: x.steps, batch: x.batch, loop.pass.mode)
    if room == 0 { return nil }
    rows = 0..<0
    keepsAll = loop.pass.mode == .train
    blockSize = (keepsAll ? x.rows : room) * loop.width
    begins =
      loop.pass.workspace + (keepsAll ? loop.plan.gates : loop.plan.begins) + loop.ownBlocks.lowerBound * blockSize
    weights = step.weights
    let depth = layer.packing(loop.kernels).packedRows(layer.inputs)
    step.weights += depth * layer.inputPanels(loop.kernels).width
    (step.inputs, step.begin_block) = (0, blockSize)
  }

  /// Where the products of a row of all timesteps are, in the first block.
  private func place(_ row: Int, _ loop: TimeLoop) -> MutableFloats {
    begins + (keepsAll ? row : row - rows.lowerBound) * loop.width
  }

  /// Makes the products of timestep t, unless they are there, and of those that are taken after it.
  mutating func prepare(_ loop: TimeLoop, _ t: Int, _ step: lstm_cell_forward, _ rounded: RoundedFactors?) {
    let (layer, x, kernels) = (loop.layer, loop.x, loop.kernels)
    let (first, end) = (x.first(t), x.first(t) + x.rows(at: t))
    if rows.lowerBound <= first, end <= rows.upperBound { return }
    rows = loop.isForwards ? first..<min(x.rows, first + room) : max(0, end - room)..<end

    let (lanes, vectors) = (kernels.lanes, layer.cell.inputs.count)
    var p = lstm_product()
    p.format = step.format
    (p.rows, p.depth, p.chunks) = (rows.count, layer.inputs, 1)
    (p.a, p.a_row, p.a_step) = (loop.usedInputs + rows.lowerBound * layer.inputs, layer.inputs, 1)
    if let rounded { p.a_bytes = rounded.inputs(row: rows.lowerBound) }
    (p.b_row, p.c_row, p.c_vector) = (vectors * lanes, loop.width, (0, lanes, 2 * lanes, 3 * lanes))
    p.valid = layer.cell.inputs.valid(lanes)
    p.start = UInt32(LSTM_FROM_ROW)
    for block in 0..<loop.ownBlocks.count {
      let (bias, c) = (step.bias + block * loop.width, place(rows.lowerBound, loop) + block * blockSize)
      (p.b, p.c, p.first) = (weights + block * step.weights_block, c, bias)
      p.next = block + 1 < loop.ownBlocks.count ? p.b + step.weights_block : nil
      kernels.product(&p)
      // The vectors in which the inputs have no part.
      let others = vectors * lanes
      for row in 0..<rows.count where others < loop.width {
        (c + row * loop.width + others).copy(from: bias + others, count: loop.width - others)
      }
    }
  }

  /// Lets a step begin with the products of its rows, from `row` of all timesteps on.
  func begin(_ step: inout lstm_cell_forward, _ loop: TimeLoop, row: Int) { step.begin = Floats(place(row, loop)) }
}
