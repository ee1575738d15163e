internal import CLSTMKernels
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// The simple recurrent network: h′ = f(x·W + h·R + b).
///
/// - Shapes: weights [*, units]; bias [units]; h [batch, units]. A block has four vectors of units, kept as z before f.
/// - Errors: none; a NaN propagates.
/// - Source: Elman 1990; Keras's `SimpleRNN`, PyTorch's `nn.RNN`.
final class SimpleCell: RecurrentCell {
  private let activation: UInt32

  static func make(_ fields: Fields, fast: Bool) throws(LSTMError) -> RecurrentCell {
    SimpleCell(Activation.kind(try Activation.readElementwise(fields, "activation", default: .tanh), fast: fast))
  }

  private init(_ activation: UInt32) {
    self.activation = activation
    let all = Feed(first: 0, count: 4, gates: [0, 0, 0, 0])
    super.init(weightGates: 1, biasGates: 1, inputs: all, hidden: all, hasMemory: false)
  }

  override var isSplit: Bool { true }

  override var isBounded: Bool {
    switch activation {
    case UInt32(LSTM_TANH), UInt32(LSTM_FAST_TANH), UInt32(LSTM_SIGMOID), UInt32(LSTM_FAST_SIGMOID): true
    default: false
    }
  }

  override func forward(_ step: inout lstm_cell_forward, _ kernels: Kernels) {
    guard let z = step.gates else { return }
    let width = 4 * kernels.lanes
    for first in stride(from: 0, to: step.units, by: width) {
      let valid = min(width, step.units - first)
      for row in 0..<step.rows {
        let next = step.h_next + row * step.h_next_row + first
        if let mask = step.mask, mask[row] == 0 {
          next.copy(from: step.h_own + row * step.h_row + first, count: valid)
        } else {
          kernels.activate(activation, valid, z + first / width * step.gates_block + row * width, next)
        }
      }
    }
  }

  override func backward(_ step: inout lstm_cell_backward, _ kernels: Kernels) {
    let width = 4 * kernels.lanes
    for first in stride(from: 0, to: step.units, by: width) {
      let valid = min(width, step.units - first)
      for row in 0..<step.rows {
        let z = step.gates + first / width * step.gates_block + row * width
        if let mask = step.mask, mask[row] == 0 {
          z.clear(width)
          continue
        }
        let dh = step.dh + row * step.dh_row + first
        kernels.activateBackward(
          activation, valid, x: z, y: step.h_next + row * step.h_next_row + first, dy: dh, dx: dh)
        z.copy(from: dh, count: valid)
        (z + valid).clear(width - valid)
        dh.clear(valid)
      }
    }
  }
}
