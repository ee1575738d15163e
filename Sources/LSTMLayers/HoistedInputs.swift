internal import CLSTMKernels
internal import LSTMKernels

/// The products of the inputs with their weights, made for many timesteps at once, so that those weights are read once for
/// all of them: when a batch has so few rows that a step does little but read weights, and when a layer has so many weights
/// that they do not stay in the caches from step to step. Those of tokens may be there already, in `Pass.tokenProducts`.
struct HoistedInputs {
  /// Of all timesteps, those that are made at once.
  private var rows: Range<Int>
  /// At most so many.
  private let room: Int
  /// Where the products lie: in training in the gates, where there is a place for every row, else those that are made at
  /// once.
  private let begins: MutableFloats
  /// Which rows of the products of all tokens those of the inputs are.
  private let tokens: UnsafePointer<Int32>?
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
    mode.keepsTape ? 0 : rows(layer, steps: steps, batch: batch, mode)
  }

  /// Readies a worker's steps, unless the inputs are to be multiplied step by step.
  init?(_ loop: TimeLoop, _ step: inout lstm_cell_forward) {
    let (layer, x, table) = (loop.layer, loop.x, loop.pass.tokenProducts)
    tokens = table == nil ? nil : x.tokens
    room = tokens != nil ? x.rows : HoistedInputs.rows(layer, steps: x.steps, batch: x.batch, loop.pass.mode)
    if room == 0 { return nil }
    keepsAll = loop.pass.mode.keepsTape
    let depth = layer.packing(loop.kernels).packedRows(layer.inputs)
    step.weights += depth * layer.inputPanels(loop.kernels).width
    step.inputs = 0
    if let table, tokens != nil {
      (rows, blockSize) = (0..<x.rows, loop.width)
      begins = MutableFloats(mutating: table) + loop.ownBlocks.lowerBound * loop.width
      step.begin_row = layer.tokenProductsWidth(loop.kernels)
    } else {
      (rows, blockSize) = (0..<0, (keepsAll ? x.rows : room) * loop.width)
      begins =
        loop.pass.workspace + (keepsAll ? loop.plan.gates : loop.plan.begins) + loop.ownBlocks.lowerBound * blockSize
      step.begin_row = loop.width
    }
    step.begin_block = blockSize
  }

  /// Where the products of a row of all timesteps are, in the first block.
  private func place(_ row: Int, _ loop: TimeLoop) -> MutableFloats {
    begins + (keepsAll ? row : row - rows.lowerBound) * loop.width
  }

  /// Makes the products of timestep t, unless they are there, and of those that are taken after it.
  mutating func prepare(_ loop: TimeLoop, _ t: Int, _ step: lstm_cell_forward, _ rounded: RoundedFactors?) {
    let (layer, x) = (loop.layer, loop.x)
    let (first, end) = (x.first(t), x.first(t) + x.rows(at: t))
    if rows.lowerBound <= first, end <= rows.upperBound { return }
    rows = loop.isForwards ? first..<min(x.rows, first + room) : max(0, end - room)..<end

    layer.multiplyInputs(
      loop.ownBlocks, rows: rows.count, loop.usedInputs + rows.lowerBound * layer.inputs,
      rounded?.inputs(row: rows.lowerBound), format: step.format, packed: loop.pass.packed,
      into: place(rows.lowerBound, loop), row: loop.width, block: blockSize, loop.kernels)
  }

  /// Lets a step begin with the products of its rows, from `row` of all timesteps and row `sequence` of the batch on.
  ///
  /// - Parameter next: the timestep that is taken after it.
  func begin(_ step: inout lstm_cell_forward, _ loop: TimeLoop, row: Int, sequence: Int, next: Int?) {
    guard let tokens else { return step.begin = Floats(place(row, loop)) }
    (step.begin, step.place, step.soon) = (Floats(begins), tokens + row, tokens + row)
    if let next, sequence + step.rows <= loop.x.rows(at: next) { step.soon = tokens + loop.x.first(next) + sequence }
  }
}

extension RecurrentLayer {
  /// What the sums of some rows of the inputs `x` begin with: bias + x·W of some blocks, `[4][lanes]` for each row and block,
  /// `row` and `block` floats from one another.
  func multiplyInputs(
    _ blocks: Range<Int>, rows: Int, _ x: Floats, _ bytes: lstm_bytes?, format: UInt32, packed: Floats,
    into begins: MutableFloats, row: Int, block: Int, _ kernels: Kernels
  ) {
    let (lanes, vectors, width) = (kernels.lanes, cell.inputs.count, gatesWidth(kernels))
    let weightsBlock = packedDepth(kernels) * inputPanels(kernels).width
    var p = lstm_product()
    p.format = format
    (p.rows, p.depth, p.chunks) = (rows, inputs, 1)
    (p.a, p.a_row, p.a_step) = (x, inputs, 1)
    if let bytes { p.a_bytes = bytes }
    (p.b_row, p.c_row, p.c_vector) = (vectors * lanes, row, (0, lanes, 2 * lanes, 3 * lanes))
    p.valid = cell.inputs.valid(lanes)
    p.start = UInt32(LSTM_FROM_ROW)
    for i in blocks {
      let bias = packed + biasPlace(kernels) + i * width
      let c = begins + (i - blocks.lowerBound) * block
      (p.b, p.c, p.first) = (packed + i * weightsBlock, c, bias)
      p.next = i + 1 < blocks.upperBound ? p.b + weightsBlock : nil
      kernels.product(&p)
      // The vectors in which the inputs have no part.
      let others = vectors * lanes
      for r in 0..<rows where others < width {
        (c + r * row + others).copy(from: bias + others, count: width - others)
      }
    }
  }
}
