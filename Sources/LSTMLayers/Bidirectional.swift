internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// A recurrent layer and a second one like it that goes backwards; both outputs lie at the timestep they belong to.
///
/// - Shapes: x [batch, timesteps, inputs]; y, with and without [timesteps], [2·units] for concat, [units] for sum, mul and
///   ave, [2, units] for separate outputs.
/// - Source: Schuster & Paliwal 1997; Keras's `Bidirectional`.
final class BidirectionalLayer: Layer {
  private enum Merge: Int { case concat, sum, mul, ave }
  private static var merges: [StaticString] { ["concat", "sum", "mul", "ave"] }

  /// nil: the outputs stay separate, which in memory is the same as one behind the other.
  private let merge: Merge?
  private let children: (RecurrentLayer, RecurrentLayer)
  private let units: Int
  private let returnsSequences: Bool

  private init(
    _ merge: Merge?, _ children: (RecurrentLayer, RecurrentLayer), name: String, outputShape: Shape
  ) {
    (self.merge, self.children) = (merge, children)
    (units, returnsSequences) = (children.0.outputSize, children.0.returnsSequences)
    super.init(name: name, outputShape: outputShape, parameters: children.0.parameters + children.1.parameters)
  }

  static func make(_ model: inout Construction) throws(LSTMError) {
    let outer = model.fields
    let inner = try outer.object("layer", expected: "the description of an lstm, gru or simple_rnn")
    let options = try RecurrentOptions(try inner.type(of: RecurrentOptions.types), inner, model)
    if options.goesBackwards {
      throw .argument("\(inner.path).go_backwards: expected false, since the second layer goes backwards, got true")
    }
    try inner.finish()
    try outer.record("layer", inner)
    let merge = try outer.optionalChoice("merge", merges, default: 0).flatMap { Merge(rawValue: $0) }
    let joined = merge == nil || merge == .concat
    let row = joined ? try Size.product(2, options.outputSize) : options.outputSize
    let children = (
      try RecurrentLayer.make(&model, options, .forward, .forwards, outputRow: row),
      try RecurrentLayer.make(&model, options, .backward, .backwardsInPlace, outputRow: row)
    )
    var output = children.0.outputShape.replacingLast(merge == nil ? 2 : row)
    if merge == nil { output.append(options.outputSize) }
    try Memory.reserve(2 * RecurrentParameter.count * MemoryLayout<Parameter>.stride)
    try model.append(BidirectionalLayer(merge, children, name: model.name, outputShape: output))
  }

  /// Separate last states are two steps.
  override func outputSteps(_ steps: Int) -> Int { returnsSequences ? steps : merge == nil ? 2 : 1 }
  override var keepsTime: Bool { returnsSequences }
  override var needsFuture: StaticString? { "bidirectional" }
  override var carriesState: Bool { true }

  override func outputMask(of x: Signal, _ memory: UnsafeMutablePointer<UInt8>) -> UnsafePointer<UInt8>? {
    returnsSequences ? x.mask : nil
  }

  // MARK: States: the first layer's, then the second's

  override var stateNames: [StaticString] { children.0.stateCount > 1 ? Self.pairNames : Self.names }
  private static var names: [StaticString] { ["forward_hidden", "backward_hidden"] }
  private static var pairNames: [StaticString] {
    ["forward_hidden", "forward_memory", "backward_hidden", "backward_memory"]
  }
  override var stateCount: Int { 2 * children.0.stateCount }
  override func stateWidth(_ i: Int) -> Int { children.0.stateWidth(i % children.0.stateCount) }

  /// Those of one of the layers.
  private func states(_ all: Pass.States, child: Int) -> Pass.States {
    let hasMemory = children.0.stateCount > 1
    if child == 0 { return (all.0, hasMemory ? all.1 : nil, nil, nil) }
    return hasMemory ? (all.2, all.3, nil, nil) : (all.1, nil, nil, nil)
  }

  // MARK: What is inside: the first layer's, then the second's

  override var insides: [StaticString] {
    switch children.0.insides.count {
    case 1: Self.names
    case 2: Self.gatedNames
    default: Self.gatedPairNames
    }
  }
  private static var gatedNames: [StaticString] {
    ["forward_hidden", "forward_gates", "backward_hidden", "backward_gates"]
  }
  private static var gatedPairNames: [StaticString] {
    [
      "forward_hidden", "forward_memory", "forward_gates", "backward_hidden", "backward_memory", "backward_gates",
    ]
  }

  override func insideShape(_ i: Int, steps: Int, otherSteps: Int) -> Shape {
    children.0.insideShape(i % children.0.insides.count, steps: steps, otherSteps: otherSteps)
  }

  override func writeInside(
    _ i: Int, _ xs: Inputs, _ y: Signal, _ pass: Pass, shape: Shape, to sample: (Int) -> MutableFloats
  ) {
    let (child, count, inner) = (i / children.0.insides.count, children.0.insides.count, Inner(self, xs[0], y, pass))
    let (layer, output) = child == 0 ? (children.0, inner.outputs.0) : (children.1, inner.outputs.1)
    layer.writeInside(i % count, xs[0], output, inner.pass(child), to: sample)
  }

  // MARK: Weights: the first layer's, then the second's

  /// Places are multiples of 16 floats.
  private func place(_ count: Int) -> Int { (count + 15) / 16 * 16 }

  override func packedCount(_ kernels: Kernels) -> Int {
    Carver.product(2, place(children.0.packedCount(kernels)))
  }

  override func pack(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    children.0.pack(weights, into: packed, kernels, part)
    children.1.pack(weights, into: packed + place(children.0.packedCount(kernels)), kernels, part)
  }

  override var hasTrainedInput: Bool {
    didSet { (children.0.hasTrainedInput, children.1.hasTrainedInput) = (hasTrainedInput, hasTrainedInput) }
  }

  override func packedBackwardCount(_ kernels: Kernels) -> Int {
    Carver.product(2, place(children.0.packedBackwardCount(kernels)))
  }

  override func packBackward(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    children.0.packBackward(weights, into: packed, kernels, part)
    children.1.packBackward(
      weights, into: packed + place(children.0.packedBackwardCount(kernels)), kernels, part)
  }

  override func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {
    children.0.initialize(weights, random, kernels)
    children.1.initialize(weights, { random(3 + $0) }, kernels)
  }

  // MARK: Passes

  /// Places in the workspace: those of the layers, their outputs and the gradients of these where they are not in y and dy
  /// themselves, and the second one's gradient of the input.
  private struct Plan {
    let inner: (Int, Int)
    let outputs: (Int, Int)
    let gradients: (Int, Int)
    let dx: Int
    let count: Int

    init(_ layer: BidirectionalLayer, steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) {
      let (training, child) = (mode.keepsTape, layer.children.0)
      let workspace = child.workspaceCount(steps: steps, batch: batch, mode, kernels)
      let outputSteps = layer.writesInPlace ? 0 : child.outputSteps(steps)
      var plan = Carver()
      inner = (plan.take(workspace), plan.take(workspace))
      outputs = (plan.take(outputSteps, batch, layer.units), plan.take(outputSteps, batch, layer.units))
      let kept = training ? outputSteps : 0
      gradients = (plan.take(kept, batch, layer.units), plan.take(kept, batch, layer.units))
      dx = plan.take(training ? steps : 0, batch, child.inputs)
      count = plan.count
    }
  }

  /// Whether the layers write into the output, side by side or one behind the other.
  private var writesInPlace: Bool { merge == nil || (returnsSequences && merge == .concat) }

  /// Where in an output in which they write the second's begins.
  private func secondPlace(_ batch: Int) -> Int { returnsSequences ? units : batch * units }

  override func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    Plan(self, steps: steps, batch: batch, mode, kernels).count
  }

  /// What the layers see: their outputs, and passes of their own.
  private struct Inner {
    let plan: Plan
    let outputs: (Signal, Signal)
    let part: Part
    /// This worker's layer, unless it works for both.
    let only: Int?
    let layer: BidirectionalLayer
    let pass: Pass

    init(_ layer: BidirectionalLayer, _ x: Signal, _ y: Signal, _ pass: Pass) {
      plan = Plan(layer, steps: x.steps, batch: x.batch, pass.mode, pass.kernels)
      var first = Signal(
        values: layer.writesInPlace ? y.values : pass.workspace + plan.outputs.0,
        steps: layer.children.0.outputSteps(x.steps), batch: y.batch, width: layer.units)
      (first.mask, first.starts) = (y.mask, y.starts)
      var second = first
      second.values = layer.writesInPlace ? y.values + layer.secondPlace(y.batch) : pass.workspace + plan.outputs.1
      outputs = (first, second)
      let split = pass.part.split()
      (part, only) = (split?.part ?? pass.part, split?.group)
      (self.layer, self.pass) = (layer, pass)
    }

    func pass(_ child: Int) -> Pass {
      let layer = layer.children.0
      var inner = pass.inner(
        packed: child == 0 ? 0 : self.layer.place(layer.packedCount(pass.kernels)),
        packedBackward: child == 0 ? 0 : self.layer.place(layer.packedBackwardCount(pass.kernels)),
        workspace: child == 0 ? plan.inner.0 : plan.inner.1, random: pass.random.part(UInt64(child)), part: part)
      inner.states = self.layer.states(pass.states, child: child)
      return inner
    }

    /// Runs the layers that are this worker's.
    func run(_ body: (_ child: Int, _ layer: RecurrentLayer, _ output: Signal, _ pass: Pass) -> Void) {
      if only != 1 { body(0, layer.children.0, outputs.0, pass(0)) }
      if only == nil { part.meet() }
      if only != 0 { body(1, layer.children.1, outputs.1, pass(1)) }
      pass.part.meet()
    }
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    let inner = Inner(self, x, y, pass)
    inner.run { (_, layer, output, pass) in layer.forward(x, into: output, pass) }
    if writesInPlace { return }
    let (a, b) = inner.outputs
    let own = pass.part.range(of: y.rows)
    let (first, count) = (own.lowerBound * units, own.count * units)
    switch merge {
    case nil: break
    case .concat:
      copy(own, from: a.values, units, to: y.values, 2 * units)
      copy(own, from: b.values, units, to: y.values + units, 2 * units)
    case .mul: pass.kernels.multiply(count, a.values + first, b.values + first, y.values + first)
    case .sum, .ave:
      (y.values + first).copy(from: a.values + first, count: count)
      pass.kernels.add(count, b.values + first, to: y.values + first)
      if merge == .ave { pass.kernels.scale(count, by: 0.5, y.values + first) }
    }
  }

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    let inner = Inner(self, x, y, pass)
    let (dFirst, dSecond) = splitGradient(inner, y, dy, pass)
    if !writesInPlace { pass.part.meet() }
    let second = pass.workspace + inner.plan.dx
    inner.run { (child, layer, output, pass) in
      layer.backward(
        x, output, dy: child == 0 ? dFirst : dSecond, into: child == 0 ? dx : dx.map { _ in second },
        gradients: gradients, pass)
    }
    guard let dx else { return }
    let own = pass.part.range(of: x.count)
    pass.kernels.add(own.count, second + own.lowerBound, to: dx + own.lowerBound)
  }

  /// Copies the units of these rows; a row begins so many numbers behind the one before it.
  private func copy(
    _ rows: Range<Int>, from source: Floats, _ sourceRow: Int, to target: MutableFloats, _ targetRow: Int
  ) {
    for row in rows { (target + row * targetRow).copy(from: source + row * sourceRow, count: units) }
  }

  /// The gradients of the two layers' outputs: this worker's share of rows, unless they are there already.
  private func splitGradient(
    _ inner: Inner, _ y: Signal, _ dy: MutableFloats, _ pass: Pass
  ) -> (MutableFloats, MutableFloats) {
    if writesInPlace { return (dy, dy + secondPlace(y.batch)) }
    let (dA, dB) = (pass.workspace + inner.plan.gradients.0, pass.workspace + inner.plan.gradients.1)
    let (a, b) = inner.outputs
    let own = pass.part.range(of: y.rows)
    let (first, count) = (own.lowerBound * units, own.count * units)
    switch merge {
    case nil: break
    case .concat:
      copy(own, from: dy, 2 * units, to: dA, units)
      copy(own, from: dy + units, 2 * units, to: dB, units)
    case .mul:
      pass.kernels.multiply(count, dy + first, b.values + first, dA + first)
      pass.kernels.multiply(count, dy + first, a.values + first, dB + first)
    case .sum, .ave:
      if merge == .ave { pass.kernels.scale(count, by: 0.5, dy + first) }
      (dA + first).copy(from: dy + first, count: count)
      (dB + first).copy(from: dy + first, count: count)
    }
    return (dA, dB)
  }
}
