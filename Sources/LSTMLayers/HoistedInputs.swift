internal import CLSTMKernels
internal import LSTMKernels

/// The products of the inputs with their weights, made for many timesteps at once when a batch has so few rows that a step
/// does little but read weights: those of the inputs are then read once for all these timesteps.
struct HoistedInputs {
  /// Of all timesteps, those that are made at once.
  private var rows: Range<Int>
  private let weights: Floats
  private let begins: MutableFloats
  /// Floats of a block.
  private let blockSize: Int

  /// The rows of a batch from which on it is not worth it, and the rows made at once.
  private static let (most, atOnce) = (4, 64)

  /// The rows of all timesteps that there is room for.
  static func rows(_ layer: RecurrentLayer, steps: Int, batch: Int, _ mode: Mode) -> Int {
    mode == .predict && batch <= most && steps > 1 && layer.canHoistInputs ? min(steps * batch, atOnce) : 0
  }

  /// Readies a worker's steps, unless the inputs are to be multiplied step by step.
  init?(_ loop: TimeLoop, _ step: inout lstm_cell_forward) {
    let (layer, x) = (loop.layer, loop.x)
    let room = HoistedInputs.rows(layer, steps: x.steps, batch: x.batch, loop.pass.mode)
    if room == 0 { return nil }
    rows = 0..<0
    blockSize = room * loop.width
    begins = loop.pass.workspace + loop.plan.begins + loop.ownBlocks.lowerBound * blockSize
    weights = step.weights
    let depth = layer.packing(loop.kernels).packedRows(layer.inputs)
    step.weights += depth * layer.inputPanels(loop.kernels).width
    (step.inputs, step.begin_block) = (0, blockSize)
  }

  /// Makes the products of timestep t, unless they are there, and of those that are taken after it.
  mutating func prepare(_ loop: TimeLoop, _ t: Int, _ step: lstm_cell_forward, _ rounded: RoundedFactors?) {
    let (layer, x, kernels) = (loop.layer, loop.x, loop.kernels)
    let (first, end) = (x.first(t), x.first(t) + x.rows(at: t))
    if rows.lowerBound <= first, end <= rows.upperBound { return }
    let room = blockSize / loop.width
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
      let bias = step.bias + block * loop.width
      (p.b, p.c, p.first) = (weights + block * step.weights_block, begins + block * blockSize, bias)
      kernels.product(&p)
      // The vectors in which the inputs have no part.
      let others = vectors * lanes
      for row in 0..<rows.count where others < loop.width {
        (begins + block * blockSize + row * loop.width + others).copy(from: bias + others, count: loop.width - others)
      }
    }
  }

  /// Lets a step begin with the products of its rows, from `row` of all timesteps on.
  func begin(_ step: inout lstm_cell_forward, _ loop: TimeLoop, row: Int) {
    step.begin = Floats(begins + (row - rows.lowerBound) * loop.width)
  }
}
