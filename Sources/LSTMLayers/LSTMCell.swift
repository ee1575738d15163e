internal import CLSTMKernels
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// Long short-term memory with a forget gate: one timestep of hidden units.
///
///     i, f, o = σ(x·W + h·R + b)    g = tanh(x·W + h·R + b)    c′ = f⊙c + i⊙g    h′ = o⊙tanh c′
/// - Shapes: gates [batch, 4·units] in the order i f g o, coupled ones [batch, 3·units], i g o; h, c [batch, units].
/// - Errors: none; a NaN propagates.
/// - Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000. The options' equations stand with
///   `lstm_cell_options` in `lstm_kernels.h`.
final class LSTMCell: RecurrentCell {
  private let functions: CellActivations
  private let chosen: CellOptions
  private let isProjected: Bool
  private let remembersFirst: Bool

  static func make(_ fields: Fields, fast: Bool, isProjected: Bool) throws(LSTMError) -> RecurrentCell {
    let functions = try CellActivations(fields, fast: fast)
    let remembersFirst = try fields.boolean("unit_forget_bias", default: true)
    let options = try CellOptions.lstm(fields)
    if isProjected, options.zoneoutHidden > 0 { throw fields.error("zoneout_hidden", "0 with a projection", nil) }
    return LSTMCell(functions, options, isProjected: isProjected, remembersFirst: remembersFirst)
  }

  private init(_ functions: CellActivations, _ options: CellOptions, isProjected: Bool, remembersFirst: Bool) {
    (self.functions, chosen) = (functions, options)
    (self.isProjected, self.remembersFirst) = (isProjected, remembersFirst)
    let gates = options.isCoupled ? 3 : 4
    let all = Feed(first: 0, count: gates, gates: [0, 1, 2, gates - 1])
    super.init(weightGates: gates, biasGates: gates, inputs: all, hidden: all, hasMemory: true)
  }

  override var stateNames: [StaticString] { ["hidden", "memory"] }

  override var insides: [StaticString] { ["hidden", "memory", "gates"] }
  override var shownGates: Int { 4 }

  override func writeGates(_ kept: Floats, count: Int, to gates: MutableFloats, units: Int, _ kernels: Kernels) {
    for gate in 0..<4 {
      let to = gates + gate * units
      if chosen.isCoupled, gate == 1 {
        for i in 0..<count { to[i] = 1 - gates[i] }
        continue
      }
      let from = kept + (chosen.isCoupled && gate > 1 ? gate - 1 : gate) * kernels.lanes
      if !isSplit, functions.areTanhAndSigmoid {
        to.copy(from: from, count: count)
      } else {
        let kind = gate == 2 ? functions.activation : functions.recurrentActivation
        functions.activate(kind, limit: chosen.gateClip, count, from, to: to, kernels)
      }
    }
  }

  override var options: CellOptions? { chosen }
  override var isSplit: Bool { isProjected || !chosen.isEmpty }

  override func biasGates(vector: Int) -> (Int, Int) { (vector < biasGates ? vector : -1, -1) }

  /// 1 for the forget gate, so that a fresh cell remembers (Jozefowicz, Zaremba & Sutskever 2015); of coupled gates, where
  /// σ(1) = 1 - σ(-1), -1 for the input gate.
  override func initialBias(gate: Int) -> Float {
    if chosen.isCoupled { return gate == 0 && remembersFirst ? -1 : 0 }
    return gate == 1 && remembersFirst ? 1 : 0
  }

  override var isBounded: Bool { functions.areTanhAndSigmoid && !isProjected }

  override func forward(_ step: inout lstm_cell_forward, _ kernels: Kernels) {
    (step.activation, step.recurrent_activation) = (functions.activation, functions.recurrentActivation)
    if !isSplit { return kernels.lstmForward(&step) }
    chosen.set(&step.options, isGRU: false)
    kernels.splitForward(&step)
  }

  override func outputForward(_ step: inout lstm_cell_forward, _ kernels: Kernels) { kernels.outputForward(&step) }

  override func outputBackward(_ step: inout lstm_cell_backward, _ kernels: Kernels) {
    (step.activation, step.recurrent_activation) = (functions.activation, functions.recurrentActivation)
    chosen.set(&step.options, isGRU: false)
    kernels.outputBackward(&step)
  }

  override func backward(_ step: inout lstm_cell_backward, _ kernels: Kernels) {
    (step.activation, step.recurrent_activation) = (functions.activation, functions.recurrentActivation)
    if !isSplit { return kernels.lstmBackward(&step) }
    chosen.set(&step.options, isGRU: false)
    kernels.splitBackward(&step)
  }
}
