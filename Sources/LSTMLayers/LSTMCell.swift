internal import CLSTMKernels
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// The equations of a recurrent layer after its matrix products; `RecurrentLayer` does all the rest.
protocol RecurrentCell {
  /// Reads the cell's own fields.
  static func read(_ fields: Fields) throws(LSTMError) -> Self

  /// What the bias of unit u, gate j begins with.
  func initialBias(gate: Int) -> Float

  /// One timestep of one block of units: `lstm_kernels.h` says what goes in and out.
  func forward(_ step: inout lstm_cell_forward, _ kernels: Kernels)
  func backward(_ step: inout lstm_cell_backward, _ kernels: Kernels)
}

/// Long short-term memory with a forget gate: one timestep of one block of hidden units.
///
///     i, f, o = σ(x·W + h·R + b)    g = tanh(x·W + h·R + b)    c′ = f⊙c + i⊙g    h′ = o⊙tanh c′
/// - Shapes: gates [batch, 4·units] in the order i f g o; h, c [batch, units].
/// - Errors: none; a NaN propagates.
/// - Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000.
struct LSTMCell: RecurrentCell {
  private let activation: UInt32
  private let recurrentActivation: UInt32
  private let remembersFirst: Bool

  static func read(_ fields: Fields) throws(LSTMError) -> LSTMCell {
    LSTMCell(
      activation: try Activation.readElementwise(fields, "activation", default: .tanh),
      recurrentActivation: try Activation.readElementwise(fields, "recurrent_activation", default: .sigmoid),
      remembersFirst: try fields.boolean("unit_forget_bias", default: true))
  }

  /// 1 for the forget gate, so that a fresh cell remembers (Jozefowicz, Zaremba & Sutskever 2015).
  func initialBias(gate: Int) -> Float { gate == 1 && remembersFirst ? 1 : 0 }

  func forward(_ step: inout lstm_cell_forward, _ kernels: Kernels) {
    (step.activation, step.recurrent_activation) = (activation, recurrentActivation)
    kernels.forward(&step)
  }

  func backward(_ step: inout lstm_cell_backward, _ kernels: Kernels) {
    (step.activation, step.recurrent_activation) = (activation, recurrentActivation)
    kernels.backward(&step)
  }
}
