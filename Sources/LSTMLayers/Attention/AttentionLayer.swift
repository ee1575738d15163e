internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// Attention, as it is or between projections: `AttentionCore` on the steps of its inputs that are no padding.
///
/// Inputs: queries [timesteps, features], values [other timesteps, features], keys (the values, unless given); of a single
/// input all three are made. Keys of padding are not looked at, and the outputs at queries of padding are zero.
final class AttentionLayer: Layer {
  /// Maps before and behind attention; each is a dense layer.
  struct Projections {
    let query, key, value, output: DenseLayer

    func layer(_ i: Int) -> DenseLayer { i == 0 ? query : i == 1 ? key : i == 2 ? value : output }
  }

  let core: AttentionCore
  let projections: Projections?
  /// Of a learned score, in place of the declared.
  let scoring: Scoring
  private let inputs: Int
  /// Features of queries, keys and values as they come in.
  private let widths: InlineArray<3, Int>

  init(
    _ core: AttentionCore, _ scoring: Scoring, _ projections: Projections?, name: String, outputShape: Shape,
    parameters: [Parameter], inputs: Int, widths: InlineArray<3, Int>
  ) {
    (self.core, self.scoring, self.projections) = (core, scoring, projections)
    (self.inputs, self.widths) = (inputs, widths)
    super.init(name: name, outputShape: outputShape, parameters: parameters)
  }

  // MARK: What it says of itself

  override var joinsSequences: Bool { true }

  override var needsFuture: StaticString? {
    if !core.isCausal { return "it is not causal" }
    return core.window == nil ? "its window says how many steps a stream keeps, and it has none" : nil
  }

  override func statePieces(_ kernels: Kernels) -> [StatePiece] { core.statePieces(window: core.window) }

  /// What reads all of another sequence does the same in a stream as in a prediction.
  func mode(_ mode: Mode) -> Mode { mode == .stream && !core.isCausal ? .predict : mode }

  // MARK: Weights: those of the score, then the projections'

  /// Where the packed weights of a projection begin; of the fourth, where all end.
  private func packedPlace(_ projection: Int, _ kernels: Kernels, backward: Bool) -> Int {
    var plan = Carver()
    if !backward { _ = plan.take(scoring.packedCount(core)) }
    guard let projections else { return plan.count }
    for i in 0..<projection {
      let layer = projections.layer(i)
      _ = plan.take(backward ? layer.packedBackwardCount(kernels) : layer.packedCount(kernels))
    }
    return plan.count
  }

  override func packedCount(_ kernels: Kernels) -> Int { packedPlace(4, kernels, backward: false) }

  override func pack(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    if part.isFirst { scoring.pack(core, weights, into: packed) }
    guard let projections else { return }
    for i in 0..<4 {
      projections.layer(i).pack(weights, into: packed + packedPlace(i, kernels, backward: false), kernels, part)
    }
  }

  override func packedBackwardCount(_ kernels: Kernels) -> Int { packedPlace(4, kernels, backward: true) }

  override func packBackward(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    guard let projections else { return }
    for i in 0..<4 {
      projections.layer(i).packBackward(weights, into: packed + packedPlace(i, kernels, backward: true), kernels, part)
    }
  }

  override func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {
    scoring.initialize(core, weights, random)
    guard let projections else { return }
    for i in 0..<4 {
      let sequence = random(i)
      projections.layer(i).initialize(weights, { (_) in sequence }, kernels)
    }
  }

  // MARK: Memory

  /// Places in the workspace.
  struct Plan {
    /// The valid steps of queries and of keys, and for each query how many keys it sees.
    let queries, keys, limits: Int
    /// The inputs' valid steps, gathered: those of queries, keys and values.
    let gathered: InlineArray<3, Int>
    /// q, k, v and o of the core.
    let cores: InlineArray<4, Int>
    /// Their gradients.
    let gradients: InlineArray<4, Int>
    /// The output's valid steps, or their gradient.
    let output: Int
    /// A gradient of an input's valid steps.
    let passing: Int
    /// Of the score's parameters, for each sequence.
    let slopes: Int
    let rounding: Int
    /// Last, since streams may need more of them.
    let desks: Int
    let count: Int

    init(_ layer: AttentionLayer, steps: Int, keySteps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) {
      let (core, training, mode) = (layer.core, mode.keepsTape, layer.mode(mode))
      let (queryRows, keyRows) = (Carver.product(steps, batch), Carver.product(keySteps, batch))
      var plan = Carver()
      queries = plan.take(SequenceRows.count(steps: steps, batch: batch))
      keys = layer.inputs == 1 ? queries : plan.take(SequenceRows.count(steps: keySteps, batch: batch))
      limits = plan.take(2, queryRows)
      var (gathered, cores) = (InlineArray<3, Int>(repeating: 0), InlineArray<4, Int>(repeating: 0))
      var gradients = InlineArray<4, Int>(repeating: 0)
      var widest = 0
      for i in 0..<3 {
        let source = layer.firstRole(of: layer.input(of: i))
        let count = Carver.product(i == 0 ? queryRows : keyRows, layer.widths[i])
        gathered[i] = source < i ? gathered[source] : plan.take(count)
        widest = max(widest, count)
      }
      for i in 0..<4 {
        let count = Carver.product(i % 3 == 0 ? queryRows : keyRows, layer.coreWidth(i))
        cores[i] = layer.isAsGathered(i) ? gathered[i] : plan.take(count)
        gradients[i] = plan.take(training ? count : 0)
      }
      (self.gathered, self.cores, self.gradients) = (gathered, cores, gradients)
      output = plan.take(layer.projections == nil ? 0 : queryRows, layer.outputShape.last)
      passing = plan.take(training && layer.projections != nil ? widest : 0)
      slopes = plan.take(training ? batch : 0, layer.scoring.slopeCount(core))
      rounding = plan.take(layer.roundingCount(steps: max(steps, keySteps), batch: batch, mode, kernels))
      desks = plan.take(
        core.workspaceCount(steps: mode == .stream ? core.window ?? 1 : keySteps, batch: batch, mode))
      count = plan.count
    }
  }

  /// The input of queries, keys or values.
  func input(of role: Int) -> Int { role == 0 || inputs == 1 ? 0 : role == 1 ? inputs - 1 : 1 }
  /// The first role that an input plays.
  func firstRole(of input: Int) -> Int {
    for role in 0..<3 where self.input(of: role) == input { return role }
    return 0
  }

  /// Whether q, k or v is just what comes in. A factor of products is applied to q.
  private func isAsGathered(_ i: Int) -> Bool {
    projections == nil && i < 3 && (i > 0 || core.score == .additive)
  }

  /// Features of q, k, v or o.
  func coreWidth(_ i: Int) -> Int { Carver.product(core.heads, i < 2 ? core.keyWidth : core.valueWidth) }
  func width(of role: Int) -> Int { widths[role] }

  /// What a projection with 8-bit weights needs.
  private func roundingCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    guard let projections else { return 0 }
    var most = 0
    for i in 0..<4 {
      most = max(most, projections.layer(i).workspaceCount(steps: steps, batch: batch, mode, kernels))
    }
    return most
  }

  override func workspaceCount(steps: Int, otherSteps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    Plan(self, steps: steps, keySteps: otherSteps, batch: batch, mode, kernels).count
  }

  override func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    workspaceCount(steps: steps, otherSteps: steps, batch: batch, mode, kernels)
  }

  /// The pass of a projection.
  func pass(_ projection: Int, _ pass: Pass, _ plan: Plan) -> Pass {
    pass.inner(
      packed: packedPlace(projection, pass.kernels, backward: false),
      packedBackward: packedPlace(projection, pass.kernels, backward: true), workspace: plan.rounding,
      random: pass.random, part: pass.part)
  }

  // MARK: Passes

  override func forward(_ xs: Inputs, into y: Signal, _ pass: Pass) {
    AttentionPass(self, xs, pass).forward(into: y)
  }

  override func backward(
    _ xs: Inputs, _ y: Signal, dy: MutableFloats, into dxs: InputGradients, gradients: MutableFloats, _ pass: Pass
  ) {
    AttentionPass(self, xs, pass).backward(y, dy: dy, into: dxs, gradients: gradients)
  }

  override var insides: [StaticString] { ["attention"] }

  override func insideShape(_ i: Int, steps: Int, otherSteps: Int) -> Shape { Shape(core.heads, steps, otherSteps) }

  override func writeInside(
    _ i: Int, _ xs: Inputs, _ y: Signal, _ pass: Pass, shape: Shape, to sample: (Int) -> MutableFloats
  ) {
    AttentionPass(self, xs, pass).writeWeights(shape, to: sample)
  }

  override func prepareStep(_ xs: Inputs, into y: Signal, _ pass: Pass) -> LayerStep { JoiningStep(self, xs, y, pass) }
}
