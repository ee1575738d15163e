internal import CLSTMKernels
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// Long short-term memory with a forget gate: one timestep of hidden units.
///
///     i, f, o = σ(x·W + h·R + b)    g = tanh(x·W + h·R + b)    c′ = f⊙c + i⊙g    h′ = o⊙tanh c′
/// - Shapes: gates [batch, 4·units] in the order i f g o; h, c [batch, units].
/// - Errors: none; a NaN propagates.
/// - Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000.
final class LSTMCell: RecurrentCell {
  private let functions: CellActivations
  private let remembersFirst: Bool

  static func make(_ fields: Fields, fast: Bool) throws(LSTMError) -> RecurrentCell {
    let functions = try CellActivations(fields, fast: fast)
    return LSTMCell(functions, remembersFirst: try fields.boolean("unit_forget_bias", default: true))
  }

  private init(_ functions: CellActivations, remembersFirst: Bool) {
    (self.functions, self.remembersFirst) = (functions, remembersFirst)
    let all = Feed(first: 0, count: 4, gates: [0, 1, 2, 3])
    super.init(weightGates: 4, biasGates: 4, inputs: all, hidden: all, hasMemory: true)
  }

  /// 1 for the forget gate, so that a fresh cell remembers (Jozefowicz, Zaremba & Sutskever 2015).
  override func initialBias(gate: Int) -> Float { gate == 1 && remembersFirst ? 1 : 0 }

  override var isBounded: Bool { functions.areTanhAndSigmoid }

  override func forward(_ step: inout lstm_cell_forward, _ kernels: Kernels) {
    (step.activation, step.recurrent_activation) = (functions.activation, functions.recurrentActivation)
    kernels.lstmForward(&step)
  }

  override func backward(_ step: inout lstm_cell_backward, _ kernels: Kernels) {
    (step.activation, step.recurrent_activation) = (functions.activation, functions.recurrentActivation)
    kernels.lstmBackward(&step)
  }
}
