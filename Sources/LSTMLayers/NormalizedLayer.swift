internal import CLSTMKernels
internal import LSTMKernels
internal import LSTMTensors

/// A recurrent layer whose step has layer normalization in it: of the products of the inputs and of those of the hidden
/// state, each over all gates, before they are added up, and of the memory before the output is made of it. The memory
/// that goes on to the next step is as it was.
///
///     N(v) = (v - mean of v) / √(variance of v + epsilon)
///     lstm: z = γₓ⊙N(x·W) + γₕ⊙N(h·R) + b    h′ = o⊙tanh(γ⊙N(c′) + β)
///     gru:  X = γₓ⊙N(x·W) + b    H = γₕ⊙N(h·R) + bᵣ    z, r = σ(X + H)    n = tanh(X + r⊙H)
/// - Shapes: input_gamma, recurrent_gamma [gates·units], memory_gamma, memory_beta [units].
/// - Layout: what is normalized lies in rows, `[row][gates·units]` or `[row][units]`: the products write them, and the
///   cell's blocks are filled from them.
/// - Several workers: each makes what is of its units, and normalizes some rows when all have made theirs.
/// - Source: Ba, Kiros & Hinton 2016; the LayerNormLSTM and LayerNormGRU of the library haste.
final class NormalizedLayer: SplitLayer {
  override var changesSums: Bool { true }
  override var canHoistInputs: Bool { false }

  /// Of products that write rows.
  override func packing(_ kernels: Kernels) -> WeightFormat { .float32 }

  private var columns: Int { cell.weightGates * units }

  override func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {
    super.initialize(weights, random, kernels)
    func fill(_ gamma: Parameter?) {
      if let gamma { (weights + gamma.offset).update(repeating: 1, count: gamma.shape[0]) }
    }
    fill(parameter(.inputGamma))
    fill(parameter(.recurrentGamma))
    fill(parameter(.memoryGamma))
  }

  // MARK: Workspace

  /// One of the things that are normalized: where its gain lies among the parameters, and its places among the extra floats.
  private struct Normal {
    let gamma: Int
    let width: Int
    /// Rows before and after N, and what N multiplied them with: of all timesteps in training, else of one.
    let unit, scales: Int
    /// Rows with gain and bias, and later their gradient: of one timestep, or as `unit`.
    let y: Int
    let keepsY: Bool
    let dGamma: Int

    /// - Parameter rows: of `unit`.
    init(_ gamma: Parameter?, rows: Int, batch: Int, keepsY: Bool, _ plan: inout Carver) {
      (self.gamma, width, self.keepsY) = (gamma?.offset ?? 0, gamma?.shape[0] ?? 0, keepsY)
      unit = plan.take(rows, width)
      scales = plan.take(rows)
      y = plan.take(keepsY ? rows : batch, width)
      dGamma = plan.take(width)
    }
  }

  /// Places behind those of the layer that this one is derived from: beside what is normalized the products of a gradient
  /// with rows of one timestep, the gradient of memory_beta, and the bias where there is none.
  private struct Extra {
    let inputs, hidden, memory: Normal
    let products, dBeta, zeros: Int
    let count: Int

    init(_ layer: NormalizedLayer, first: Int, steps: Int, batch: Int, _ mode: Mode) {
      let rows = mode.keepsTape ? Carver.product(steps, batch) : batch
      var plan = Carver()
      _ = plan.take(first)
      inputs = Normal(layer.parameter(.inputGamma), rows: rows, batch: batch, keepsY: false, &plan)
      hidden = Normal(layer.parameter(.recurrentGamma), rows: rows, batch: batch, keepsY: false, &plan)
      memory = Normal(layer.parameter(.memoryGamma), rows: rows, batch: batch, keepsY: true, &plan)
      products = plan.take(mode.keepsTape ? batch : 0, layer.columns)
      dBeta = plan.take(layer.units)
      zeros = plan.take(layer.columns)
      count = plan.count
    }
  }

  override func extraCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    extra(steps: steps, batch: batch, mode, kernels).count
  }

  private func extra(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Extra {
    let first = super.extraCount(steps: steps, batch: batch, mode, kernels)
    return Extra(self, first: first, steps: steps, batch: batch, mode)
  }

  /// Some rows of one timestep in the hands of one worker.
  private struct Rows {
    let loop: TimeLoop
    let memory: MutableFloats
    let places: Extra
    /// The number of the first in the batch, and in what is kept.
    let sequence, kept: Int
    let count: Int
    /// This worker's share of them.
    let own: Range<Int>

    init(_ layer: NormalizedLayer, _ loop: TimeLoop, row: Int, sequence: Int, count: Int) {
      let (x, mode) = (loop.x, loop.pass.mode)
      places = layer.extra(steps: x.steps, batch: x.batch, mode, loop.kernels)
      memory = loop.pass.workspace + loop.plan.extra
      (self.loop, self.sequence, self.count) = (loop, sequence, count)
      kept = mode.keepsTape ? row : sequence
      own = loop.pass.part.range(of: count)
    }

    func unit(_ normal: Normal) -> MutableFloats { memory + normal.unit + kept * normal.width }
    func y(_ normal: Normal) -> MutableFloats {
      memory + normal.y + (normal.keepsY ? kept : sequence) * normal.width
    }

    func normalize(_ normal: Normal, epsilon: Float, beta: Floats) {
      let at = unit(normal) + own.lowerBound * normal.width
      loop.kernels.normalize(
        rows: own.count, width: normal.width, epsilon: epsilon, at, gamma: loop.pass.weights + normal.gamma, beta: beta,
        unit: at, scales: memory + normal.scales + kept + own.lowerBound, y(normal) + own.lowerBound * normal.width)
    }

    /// Turns the gradient of y, in its place, into that of what was normalized.
    func normalizeBackward(_ normal: Normal) {
      let dy = y(normal) + own.lowerBound * normal.width
      loop.kernels.normalizeBackward(
        rows: own.count, width: normal.width, unit: unit(normal) + own.lowerBound * normal.width,
        scales: memory + normal.scales + kept + own.lowerBound, gamma: loop.pass.weights + normal.gamma, dy: dy, dx: dy)
    }

    /// Adds to the gradient of the gain, for this worker's units, what these rows give; y holds its gradient.
    func addGains(_ normal: Normal, units: Int) {
      for first in stride(from: loop.ownUnits.lowerBound, to: normal.width, by: units) {
        let products = memory + places.products + first
        for row in 0..<count {
          let at = row * normal.width
          loop.kernels.multiply(
            loop.ownUnits.count, y(normal) + at + first, unit(normal) + at + first, products + at)
        }
        loop.kernels.addColumnSums(
          rows: count, width: loop.ownUnits.count, products, rowStride: normal.width, to: memory + normal.dGamma + first
        )
      }
    }
  }

  private var epsilon: Float { cell.options?.normEpsilon ?? 1 }

  override func begin(_ loop: TimeLoop, _ random: inout RandomSequence) {
    super.begin(loop, &random)
    let rows = Rows(self, loop, row: 0, sequence: 0, count: 0)
    (rows.memory + rows.places.zeros).clear(columns)
    (rows.memory + rows.places.dBeta).clear(units)
    func clear(_ normal: Normal) { (rows.memory + normal.dGamma).clear(normal.width) }
    clear(rows.places.inputs)
    clear(rows.places.hidden)
    clear(rows.places.memory)
  }

  /// Calls `body` for each gate of some blocks of some rows: its place in the blocks, that in rows, and how many units.
  @inline(never) private func forEachGate(
    _ feed: RecurrentCell.Feed, _ blocks: Range<Int>, blockSize: Int, rows: Range<Int>, lanes: Int,
    _ body: (_ vector: Int, _ place: Int, _ count: Int) -> Void
  ) {
    for block in blocks {
      let count = min(lanes, units - block * lanes)
      for row in rows {
        for j in 0..<feed.count {
          body(
            (block - blocks.lowerBound) * blockSize + (row * 4 + feed.first + j) * lanes,
            row * columns + feed.gates[j] * units + block * lanes, count)
        }
      }
    }
  }

  // MARK: Forward

  override func makeSums(_ step: lstm_cell_forward, _ loop: TimeLoop, row: Int, sequence: Int) {
    guard let gates = step.gates, let x = step.x, let h = step.h else { return }
    let (kernels, part) = (loop.kernels, loop.pass.part)
    let rows = Rows(self, loop, row: row, sequence: sequence, count: step.rows)
    let (panels, depth) = (inputPanels(kernels), packedDepth(kernels))
    kernels.multiply(
      loop.ownBlocks, rows: step.rows, depth: inputs, x, aRow: step.x_row, loop.pass.packed, packedDepth: depth, panels,
      into: rows.unit(rows.places.inputs), cRow: columns, start: .zero)
    kernels.multiply(
      loop.ownBlocks, rows: step.rows, depth: outputSize, h, aRow: step.h_row, loop.pass.packed + inputs * panels.width,
      packedDepth: depth, hiddenPanels(kernels), into: rows.unit(rows.places.hidden), cRow: columns, start: .zero)
    part.meet()
    let zeros = Floats(rows.memory + rows.places.zeros)
    let bias = parameter(.bias).map { loop.pass.weights + $0.offset }
    let isSecond = cell.biasGates > cell.weightGates
    rows.normalize(rows.places.inputs, epsilon: epsilon, beta: bias ?? zeros)
    rows.normalize(rows.places.hidden, epsilon: epsilon, beta: isSecond ? bias.map { $0 + columns } ?? zeros : zeros)
    part.meet()
    for i in 0..<loop.ownBlocks.count { (gates + i * step.gates_block).clear(step.rows * loop.width) }
    func add(_ feed: RecurrentCell.Feed, _ y: Floats) {
      forEachGate(
        feed, loop.ownBlocks, blockSize: step.gates_block, rows: 0..<step.rows, lanes: kernels.lanes
      ) { (vector, place, count) in kernels.add(count, y + place, to: gates + vector) }
    }
    add(cell.inputs, rows.y(rows.places.inputs))
    add(cell.hidden, rows.y(rows.places.hidden))
  }

  override func apply(_ step: inout lstm_cell_forward, _ loop: TimeLoop, row: Int, sequence: Int) {
    guard let beta = parameter(.memoryBeta) else {
      return super.apply(&step, loop, row: row, sequence: sequence)
    }
    let rows = Rows(self, loop, row: row, sequence: sequence, count: step.rows)
    step.options.normal = rows.unit(rows.places.memory) + loop.ownUnits.lowerBound
    step.options.normal_row = units
    cell.forward(&step, loop.kernels)
    loop.pass.part.meet()
    rows.normalize(rows.places.memory, epsilon: epsilon, beta: loop.pass.weights + beta.offset)
    loop.pass.part.meet()
    step.options.normal = rows.y(rows.places.memory) + loop.ownUnits.lowerBound
    cell.outputForward(&step, loop.kernels)
  }

  // MARK: Backward

  override func applyBackward(_ step: inout lstm_cell_backward, _ loop: TimeLoop, row: Int, sequence: Int) {
    let (kernels, part) = (loop.kernels, loop.pass.part)
    let rows = Rows(self, loop, row: row, sequence: sequence, count: step.rows)
    if cell.hasMemory { outputBackward(&step, rows) }
    super.applyBackward(&step, loop, row: row, sequence: sequence)
    guard let gates = step.gates else { return }
    func takeGradients(_ feed: RecurrentCell.Feed, _ normal: Normal) {
      let dy = rows.y(normal)
      forEachGate(
        feed, loop.ownBlocks, blockSize: step.gates_block, rows: 0..<step.rows, lanes: kernels.lanes
      ) { (vector, place, count) in (dy + place).copy(from: gates + vector, count: count) }
      rows.addGains(normal, units: units)
    }
    takeGradients(cell.inputs, rows.places.inputs)
    takeGradients(cell.hidden, rows.places.hidden)
    part.meet()
    spread(cell.inputs, rows.places.inputs, rows, to: loop.plan.inputGates, row: row)
    spread(cell.hidden, rows.places.hidden, rows, to: loop.plan.hiddenGates, row: row)
    part.meet()
  }

  /// From the gradient of h those of o's sum and of the memory as it was before it was normalized.
  private func outputBackward(_ step: inout lstm_cell_backward, _ rows: Rows) {
    let (loop, normal, own) = (rows.loop, rows.places.memory, rows.loop.ownUnits)
    let dy = rows.y(normal) + own.lowerBound
    (step.options.normal, step.options.normal_row) = (dy, units)
    cell.outputBackward(&step, loop.kernels)
    rows.addGains(normal, units: units)
    loop.kernels.addColumnSums(
      rows: rows.count, width: own.count, dy, rowStride: units, to: rows.memory + rows.places.dBeta + own.lowerBound)
    loop.pass.part.meet()
    rows.normalizeBackward(normal)
    loop.pass.part.meet()
  }

  /// Makes the gradients of products of this worker's rows, and lays them out as the cell does those of the sums.
  private func spread(_ feed: RecurrentCell.Feed, _ normal: Normal, _ rows: Rows, to place: Int, row: Int) {
    rows.normalizeBackward(normal)
    let (loop, blocks) = (rows.loop, blockCount(rows.loop.kernels))
    let (to, size) = (loop.pass.workspace + place + row * loop.width, loop.x.rows * loop.width)
    for block in 0..<blocks {
      (to + block * size + rows.own.lowerBound * loop.width).clear(rows.own.count * loop.width)
    }
    let dx = rows.y(normal)
    forEachGate(
      feed, 0..<blocks, blockSize: size, rows: rows.own, lanes: loop.kernels.lanes
    ) { (vector, place, count) in (to + vector).copy(from: dx + place, count: count) }
  }

  override func accumulateOthers(_ loop: TimeLoop, _ gradients: MutableFloats) {
    super.accumulateOthers(loop, gradients)
    let rows = Rows(self, loop, row: 0, sequence: 0, count: 0)
    func add(_ normal: Normal) {
      for first in stride(from: loop.ownUnits.lowerBound, to: normal.width, by: units) {
        loop.kernels.add(
          loop.ownUnits.count, rows.memory + normal.dGamma + first, to: gradients + normal.gamma + first)
      }
    }
    add(rows.places.inputs)
    add(rows.places.hidden)
    add(rows.places.memory)
    guard let beta = parameter(.memoryBeta) else { return }
    let first = loop.ownUnits.lowerBound
    loop.kernels.add(
      loop.ownUnits.count, rows.memory + rows.places.dBeta + first, to: gradients + beta.offset + first)
  }
}
