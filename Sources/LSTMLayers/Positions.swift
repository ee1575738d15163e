internal import CLSTMShim
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// What tells one timestep from another, added to the input or given beside it. Steps are counted from 0, as if padding were
/// not there.
///
/// - Shapes: x [batch, timesteps, features]; y the same, or [batch, timesteps, 2·features] with `concat`, the input first.
/// - Source: sines and cosines of Vaswani et al. 2017, section 3.5; learned, Gehring et al. 2017.
final class PositionLayer: Layer {
  private enum Merge: Int { case add, concat }
  private enum Kind {
    /// sin and cos of position / maxWavelength^(2i / features), in turns.
    case sines(maxWavelength: Double)
    /// A row of the table for each position.
    case learned
  }

  private let kind: Kind
  private let merge: Merge
  private let features: Int

  private init(_ kind: Kind, _ merge: Merge, name: String, shape: Shape, parameters: [Parameter]) {
    (self.kind, self.merge, features) = (kind, merge, shape.last)
    let width = merge == .add ? shape.last : 2 * shape.last
    super.init(name: name, outputShape: shape.replacingLast(width), parameters: parameters)
  }

  static func makeEncoding(_ model: inout Construction) throws(LSTMError) {
    let wavelength = try model.fields.number("max_wavelength", default: 10000, .positive)
    try append(&model, .sines(maxWavelength: wavelength), [])
  }

  static func makeEmbedding(_ model: inout Construction) throws(LSTMError) {
    let length = try model.fields.integer("length", 1...Int(Int32.max))
    let shape = try model.sequence()
    if shape[0] > length {
      throw .argument("\(model.fields.path).length: expected at least \(shape[0]) timesteps, got \(length)")
    }
    try append(&model, .learned, [try model.parameter("weights", Shape(length, shape.last), lines: .columns)])
  }

  private static func append(
    _ model: inout Construction, _ kind: Kind, _ parameters: [Parameter]
  ) throws(LSTMError) {
    let merges: [StaticString] = ["add", "concat"]
    let merge = Merge(rawValue: try model.fields.choice("merge", merges, default: 0)) ?? .add
    let shape = try model.sequence()
    _ = try Size.product(2, shape.last)
    try model.append(PositionLayer(kind, merge, name: model.name, shape: shape, parameters: parameters))
  }

  override var acceptedSteps: ClosedRange<Int> { 1...(parameters.isEmpty ? Int.max : parameters[0].shape[0]) }

  /// Places in the workspace: of the valid steps, and of the codes of all positions; of a stream, of each row's.
  private struct Plan {
    let valid, codes, count: Int

    init(_ layer: PositionLayer, steps: Int, batch: Int, _ mode: Mode) {
      var plan = Carver()
      valid = plan.take(mode == .stream ? 0 : ValidSteps.count(steps: steps, batch: batch))
      codes = plan.take(layer.parameters.isEmpty ? (mode == .stream ? batch : steps) : 0, layer.features)
      count = plan.count
    }
  }

  override func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    Plan(self, steps: steps, batch: batch, mode).count
  }

  /// What positions are divided by, in double.
  override func packedCount(_ kernels: Kernels) -> Int { parameters.isEmpty ? Carver.product(2, features) : 0 }

  override func pack(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    guard case .sines(let wavelength) = kind else { return }
    let divisors = UnsafeMutableRawPointer(packed).assumingMemoryBound(to: Double.self)
    for i in part.range(of: features) {
      divisors[i] = shim_pow(wavelength, Double(i / 2 * 2) / Double(features))
    }
  }

  private func writeCode(of position: Int, _ pass: Pass, to code: MutableFloats) {
    let divisors = UnsafeRawPointer(pass.packed).assumingMemoryBound(to: Double.self)
    for i in 0..<features {
      let angle = Double(position) / divisors[i]
      code[i] = Float(i % 2 == 0 ? shim_sin(angle) : shim_cos(angle))
    }
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    let plan = Plan(self, steps: x.steps, batch: x.batch, pass.mode)
    if let state = pass.state { return step(x, into: y, state: state, pass.workspace + plan.codes, pass) }
    let valid = ValidSteps(x, pass.workspace + plan.valid)
    let own = pass.part.range(of: x.batch)
    valid.find(own)
    var codes = pass.weights
    switch kind {
    case .sines:
      codes = Floats(pass.workspace + plan.codes)
      for step in pass.part.range(of: x.steps) {
        writeCode(of: step, pass, to: pass.workspace + plan.codes + step * features)
      }
      pass.part.meet()
    case .learned: codes += parameters[0].offset
    }
    for row in own {
      if !valid.isWhole { y.clear(row, of: y.values) }
      for i in 0..<valid.count(row) { join(x, y, row: valid.place(row, i), codes + i * features, pass.kernels) }
    }
  }

  /// One step of one row.
  private func join(_ x: Signal, _ y: Signal, row: Int, _ code: Floats, _ kernels: Kernels) {
    let to = y.values + row * y.width
    to.copy(from: x.values + row * features, count: features)
    switch merge {
    case .add: kernels.add(features, code, to: to)
    case .concat: (to + features).copy(from: code, count: features)
    }
  }

  // MARK: Streaming

  override func statePieces(_ kernels: Kernels) -> [StatePiece] { [StepCount.piece] }

  /// One step of a stream. Learned positions that are used up stay at the last.
  private func step(_ x: Signal, into y: Signal, state: MutableFloats, _ codes: MutableFloats, _ pass: Pass) {
    for row in pass.part.range(of: x.batch) {
      let count = StepCount(state + 2 * row)
      guard x.mask.map({ $0[row] != 0 }) ?? true else {
        (y.values + row * y.width).clear(y.width)
        continue
      }
      switch kind {
      case .sines:
        writeCode(of: count.value, pass, to: codes + row * features)
        join(x, y, row: row, codes + row * features, pass.kernels)
      case .learned:
        let position = min(count.value, parameters[0].shape[0] - 1)
        join(x, y, row: row, pass.weights + parameters[0].offset + position * features, pass.kernels)
      }
      count.increment()
    }
  }

  // MARK: Backward

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    let plan = Plan(self, steps: x.steps, batch: x.batch, pass.mode)
    let valid = ValidSteps(x, pass.workspace + plan.valid)
    if case .learned = kind {
      let table = gradients + parameters[0].offset
      for i in pass.part.range(of: x.steps) {
        for row in 0..<x.batch where i < valid.count(row) {
          let from = dy + valid.place(row, i) * y.width + (merge == .add ? 0 : features)
          pass.kernels.add(features, from, to: table + i * features)
        }
      }
    }
    guard let dx else { return }
    for row in pass.part.range(of: x.batch) {
      if !valid.isWhole { x.clear(row, of: dx) }
      for i in 0..<valid.count(row) {
        let place = valid.place(row, i)
        (dx + place * features).copy(from: dy + place * y.width, count: features)
      }
    }
  }

  /// Uniform in ±0.05, as an embedding.
  override func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {
    guard let table = parameters.first else { return }
    var sequence = random(0)
    uniform(weights + table.offset, count: table.count, limit: 0.05, &sequence)
  }
}
