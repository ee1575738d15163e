internal import CLSTMKernels
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// The equations of a recurrent layer after its matrix products; `RecurrentLayer` does all the rest.
///
/// A unit has four numbers before activation, kept as four vectors of a block of units: `[row][4][lanes]`. The products of
/// the inputs feed some of the vectors, those of the hidden state some. Where the weights have but one gate, the four
/// vectors are as many units.
class RecurrentCell {
  /// Columns of the weights, in units.
  let weightGates: Int
  /// Numbers of the bias, in units.
  let biasGates: Int
  /// The vectors that a product feeds: `count` of them from `first` on, vector j with the weights' gate `gates[j]`.
  struct Feed {
    let first: Int
    let count: Int
    let gates: InlineArray<4, Int>

    /// Lanes of each vector of a product, from the first that is fed on.
    func valid(_ lanes: Int) -> (Int, Int, Int, Int) {
      (lanes, count > 1 ? lanes : 0, count > 2 ? lanes : 0, count > 3 ? lanes : 0)
    }
  }
  let inputs: Feed
  let hidden: Feed
  /// Whether there is a memory beside the hidden state.
  let hasMemory: Bool

  init(weightGates: Int, biasGates: Int, inputs: Feed, hidden: Feed, hasMemory: Bool) {
    (self.weightGates, self.biasGates, self.inputs, self.hidden) = (weightGates, biasGates, inputs, hidden)
    self.hasMemory = hasMemory
  }

  /// The states, as they are read by other layers.
  var stateNames: [StaticString] { ["hidden"] }

  /// What can be looked at: the states, then the gates if there are any.
  var insides: [StaticString] { ["hidden"] }
  /// How many gates are shown.
  var shownGates: Int { 0 }
  /// Writes the gates of some units, each activated, `units` floats from the one before it.
  ///
  /// - Parameter kept: the four vectors of a row of a block, as `forward` left them.
  func writeGates(_ kept: Floats, count: Int, to gates: MutableFloats, units: Int, _ kernels: Kernels) {}

  /// What is not standard.
  var options: CellOptions? { nil }

  /// Whether a step is given the sums of its products, in `gates`, and not what they are made of.
  var isSplit: Bool { false }

  /// Whether no number of the hidden state is beyond ±1.
  var isBounded: Bool { false }

  /// The two gates of the bias whose sum is that of a vector; negative: none.
  func biasGates(vector: Int) -> (Int, Int) { (vector, -1) }

  /// What the bias of a gate begins with.
  func initialBias(gate: Int) -> Float { 0 }

  /// One timestep of some blocks of units: `lstm_kernels.h` says what goes in and out.
  func forward(_ step: inout lstm_cell_forward, _ kernels: Kernels) {}
  func backward(_ step: inout lstm_cell_backward, _ kernels: Kernels) {}

  /// What follows on `forward`, and comes before `backward`, where the memory is normalized in between.
  func outputForward(_ step: inout lstm_cell_forward, _ kernels: Kernels) {}
  func outputBackward(_ step: inout lstm_cell_backward, _ kernels: Kernels) {}
}

/// The activations of a cell, as the description names them.
struct CellActivations {
  let activation: UInt32
  let recurrentActivation: UInt32

  init(_ fields: Fields, fast: Bool) throws(LSTMError) {
    activation = Activation.kind(try Activation.readElementwise(fields, "activation", default: .tanh), fast: fast)
    recurrentActivation = Activation.kind(
      try Activation.readElementwise(fields, "recurrent_activation", default: .sigmoid), fast: fast)
  }

  /// Activates numbers that are kept within a limit of 0.
  func activate(
    _ kind: UInt32, limit: Float, _ count: Int, _ numbers: Floats, to: MutableFloats, _ kernels: Kernels
  ) {
    for i in 0..<count { to[i] = max(-limit, min(limit, numbers[i])) }
    kernels.activate(kind, count, to, to)
  }

  /// The usual pair, whose hidden states lie within ±1.
  var areTanhAndSigmoid: Bool {
    (activation == UInt32(LSTM_TANH) || activation == UInt32(LSTM_FAST_TANH))
      && (recurrentActivation == UInt32(LSTM_SIGMOID) || recurrentActivation == UInt32(LSTM_FAST_SIGMOID))
  }
}
