internal import CLSTMKernels
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// The fields that the layers of this kind share.
struct ScanOptions {
  let units: Int
  let hasBias: Bool
  let returnsSequences: Bool
  let goesBackwards: Bool

  init(_ fields: Fields) throws(LSTMError) {
    units = try fields.integer("units", 1...Fields.unlimited)
    hasBias = try fields.boolean("use_bias", default: true)
    returnsSequences = try fields.boolean("return_sequences", default: false)
    goesBackwards = try fields.boolean("go_backwards", default: false)
  }
}

/// A recurrent layer behind the products of its inputs: a dense layer before it, of the same description, makes these for
/// all timesteps at once, as one product of matrices, and what is left to do step by step is little.
///
/// - Shapes: x [batch, timesteps, columns], gate after gate, each `units` wide; y [batch, units], or
///   [batch, timesteps, units] when it returns sequences. Hidden states `[timestep][row][units]`.
/// - Padding: a masked step leaves state and output as they were (zero at the start). Sequences that have ended cost
///   nothing.
/// - Several workers: each has some of the units.
class ScanLayer: SequenceLayer {
  /// Weights of the products, and their bias if there is one.
  let projection: [Parameter]
  let columns: Int

  init(
    _ options: ScanOptions, _ model: Construction, _ projection: [Parameter], timesteps: Int,
    parameters: [Parameter] = []
  ) {
    (self.projection, columns) = (projection, projection[0].shape[1])
    super.init(
      name: model.name,
      outputShape: options.returnsSequences ? Shape(timesteps, options.units) : Shape(options.units),
      parameters: parameters, units: options.units, returnsSequences: options.returnsSequences,
      direction: options.goesBackwards ? .backwards : .forwards)
  }

  /// Adds the products.
  ///
  /// - Returns: their parameters, and the timesteps of what comes out.
  static func project(
    _ model: inout Construction, columns: Int, hasBias: Bool
  ) throws(LSTMError) -> (parameters: [Parameter], timesteps: Int) {
    let shape = try model.values(rank: 2)
    guard shape.rank == 2 else {
      throw .argument("\(model.fields.path): expected an input of shape [timesteps, features], got \(shape.text)")
    }
    let dense = try DenseLayer.make(
      &model, weights: "input_weights", bias: hasBias ? "bias" : nil, input: shape, units: columns)
    try model.append(dense)
    return (dense.parameters, shape[0])
  }

  override func statePieces(_ kernels: Kernels) -> [StatePiece] {
    [StatePiece(blocks: 1, lanes: units, meaningful: units)]
  }

  /// Places in the workspace.
  struct Plan {
    let zeros, hidden, dHidden, extra: Int
    let count: Int

    init(_ layer: ScanLayer, steps: Int, batch: Int, _ mode: Mode) {
      let training = mode.keepsTape
      var plan = Carver()
      zeros = plan.take(batch, layer.units)
      hidden = plan.take(training && !layer.returnsSequences ? steps : 0, batch, layer.units)
      dHidden = plan.take(training ? batch : 0, layer.units)
      extra = plan.take(layer.extraCount(steps: steps, batch: batch, mode))
      count = plan.count
    }
  }

  override func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    Plan(self, steps: steps, batch: batch, mode).count
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) { ScanLoop(self, x, y, pass).forward() }

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    guard let dx else { return }
    ScanLoop(self, x, y, pass).backward(dy: dy, into: dx, gradients: gradients)
  }

  override var insides: [StaticString] { ["hidden"] }

  override func insideShape(_ i: Int, steps: Int, otherSteps: Int) -> Shape { Shape(steps, units) }

  override func writeInside(
    _ i: Int, _ xs: Inputs, _ y: Signal, _ pass: Pass, shape: Shape, to sample: (Int) -> MutableFloats
  ) {
    let loop = ScanLoop(self, xs[0], y, pass)
    xs[0].forEachValid { (t, row, _) in
      (sample(row) + t * units).copy(from: loop.after(loop.timestep(t)) + row * units, count: units)
    }
  }

  // MARK: What a layer of this kind says

  /// Floats of workspace that it needs besides.
  func extraCount(steps: Int, batch: Int, _ mode: Mode) -> Int { 0 }

  /// A worker's units.
  func range(of part: Part, _ kernels: Kernels) -> Range<Int> { part.range(of: units, by: kernels.lanes) }

  /// Whether a step needs other units' states.
  var needsOthers: Bool { false }

  /// Readies this worker's units for the first step.
  func begin(_ loop: ScanLoop, _ step: inout lstm_scan) {}

  /// A step of this worker's units for some rows; pointers and sizes are set, and `h` are all units before it.
  func advance(_ step: inout lstm_scan, _ loop: ScanLoop, _ rows: ScanRows) {}

  /// Readies this worker's units for the last step backwards.
  func beginBackward(_ loop: ScanLoop, _ step: inout lstm_scan) {}

  /// The same backwards.
  func retreat(_ step: inout lstm_scan, _ loop: ScanLoop, _ rows: ScanRows) {}

  /// Adds to the gradient of the hidden state, of this worker's units, what reaches it through timestep t.
  func addHiddenGradient(_ loop: ScanLoop, _ t: Int, dx: Floats) {}

  /// Leaves what this worker's units of rows that end with a step carry beside the hidden state, where sequences go on.
  func keep(_ loop: ScanLoop, _ step: Int, _ rows: Range<Int>, to: MutableFloats) {}

  /// Adds to the gradients of the weights, after the last step.
  func accumulate(_ loop: ScanLoop, dx: Floats, _ gradients: MutableFloats) {}
}

/// Rows of a step with what they had before it.
struct ScanRows {
  let step: Int
  let range: Range<Int>
  /// The first of them among the rows of all timesteps.
  let first: Int
  /// Whether they begin here.
  let areNew: Bool
  /// All units of the first of them before the step.
  let hidden: Floats
}

/// One pass of one worker through the timesteps.
struct ScanLoop {
  let layer: ScanLayer
  let x: Signal
  let y: Signal
  let pass: Pass
  let kernels: Kernels
  let plan: ScanLayer.Plan
  let own: Range<Int>
  let training: Bool
  /// Whether the state after a step lies elsewhere than that before it; else both are the output.
  let keepsStates: Bool

  init(_ layer: ScanLayer, _ x: Signal, _ y: Signal, _ pass: Pass) {
    (self.layer, self.x, self.y, self.pass, kernels) = (layer, x, y, pass, pass.kernels)
    plan = ScanLayer.Plan(layer, steps: x.steps, batch: x.batch, pass.mode)
    own = layer.range(of: pass.part, kernels)
    training = pass.mode.keepsTape
    keepsStates = training || layer.returnsSequences || pass.state != nil
  }

  var units: Int { layer.units }
  var zeros: MutableFloats { pass.workspace + plan.zeros }
  /// The hidden states of rows that begin.
  private var start: Floats { pass.carried?.from ?? Floats(pass.state ?? zeros) }
  var extra: MutableFloats { pass.workspace + plan.extra }
  var dHidden: MutableFloats { pass.workspace + plan.dHidden }
  func timestep(_ step: Int) -> Int { layer.timestep(step, of: x.steps) }

  /// The states of all rows after a step.
  func after(_ step: Int) -> MutableFloats {
    if layer.returnsSequences { return y.values + layer.outputRow(step, x) * units }
    return training ? pass.workspace + plan.hidden + x.first(timestep(step)) * units : y.values
  }

  /// Rows that go on from the step before, that is the first of them, and rows that begin.
  private func rows(_ step: Int, _ body: (ScanRows) -> Void) {
    let t = timestep(step)
    let (count, first) = (x.rows(at: t), x.first(t))
    if !keepsStates {
      return body(ScanRows(step: step, range: 0..<count, first: first, areNew: false, hidden: Floats(y.values)))
    }
    let old = step > 0 ? min(count, x.rows(at: timestep(step - 1))) : 0
    if old > 0 {
      body(ScanRows(step: step, range: 0..<old, first: first, areNew: false, hidden: Floats(after(step - 1))))
    }
    if old < count {
      let start = start + old * units
      body(ScanRows(step: step, range: old..<count, first: first + old, areNew: true, hidden: start))
    }
  }

  private func makeStep(_ rows: ScanRows, _ step: inout lstm_scan) {
    step.rows = rows.range.count
    step.mask = x.mask.map { $0 + rows.first }
    step.x = Floats(x.values) + rows.first * layer.columns + own.lowerBound
    step.h = rows.hidden + own.lowerBound
  }

  private var emptyStep: lstm_scan {
    var step = lstm_scan()
    (step.units, step.x_row, step.gate, step.row) = (own.count, layer.columns, units, units)
    return step
  }

  func forward() {
    if pass.part.isFirst { (keepsStates ? zeros : y.values).clear(x.batch * units) }
    var step = emptyStep
    layer.begin(self, &step)
    pass.part.meet()
    for s in 0..<x.steps {
      if s > 0, layer.needsOthers { pass.part.meet() }
      let next = after(s)
      rows(s) { rows in
        makeStep(rows, &step)
        step.h_next = next + rows.range.lowerBound * units + own.lowerBound
        layer.advance(&step, self, rows)
      }
      if training, !layer.returnsSequences { copyOwn(next, endingRows(s), to: y.values) }
      if let to = pass.carried?.to {
        copyOwn(next, endingRows(s), to: to)
        layer.keep(self, s, endingRows(s), to: to)
      }
      if let state = pass.state {
        pass.part.meet()
        copyOwn(next, 0..<x.rows(at: timestep(s)), to: state)
      }
    }
  }

  /// The rows that end with a step.
  private func endingRows(_ step: Int) -> Range<Int> {
    let rows = x.rows(at: timestep(step))
    return min(rows, step + 1 < x.steps ? x.rows(at: timestep(step + 1)) : 0)..<rows
  }

  /// Copies this worker's units of some rows.
  func copyOwn(_ from: Floats, _ rows: Range<Int>, to: MutableFloats) {
    for row in rows {
      let place = row * units + own.lowerBound
      (to + place).copy(from: from + place, count: own.count)
    }
  }

  func clearOwn(_ memory: MutableFloats, rows: Int) {
    if own.count == units { return memory.clear(rows * units) }
    for row in 0..<rows { (memory + row * units + own.lowerBound).clear(own.count) }
  }

  func backward(dy: Floats, into dx: MutableFloats, gradients: MutableFloats) {
    clearOwn(dHidden, rows: x.batch)
    var step = emptyStep
    layer.beginBackward(self, &step)
    for s in stride(from: x.steps - 1, through: 0, by: -1) {
      if s < x.steps - 1, layer.needsOthers {
        pass.part.meet()
        layer.addHiddenGradient(self, timestep(s + 1), dx: dx)
      }
      if layer.returnsSequences {
        addOwn(dy + layer.outputRow(s, x) * units, 0..<x.rows(at: timestep(s)))
      } else {
        addOwn(dy, endingRows(s))
      }
      rows(s) { rows in
        makeStep(rows, &step)
        step.dx = dx + rows.first * layer.columns + own.lowerBound
        step.dh = dHidden + rows.range.lowerBound * units + own.lowerBound
        layer.retreat(&step, self, rows)
      }
    }
    layer.accumulate(self, dx: dx, gradients)
  }

  private func addOwn(_ dy: Floats, _ rows: Range<Int>) {
    if own.count == units {
      return kernels.add(rows.count * units, dy + rows.lowerBound * units, to: dHidden + rows.lowerBound * units)
    }
    for row in rows {
      let place = row * units + own.lowerBound
      kernels.add(own.count, dy + place, to: dHidden + place)
    }
  }
}
