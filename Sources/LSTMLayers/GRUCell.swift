internal import CLSTMKernels
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// Gated recurrent unit: one timestep of hidden units.
///
///     z, r = σ(x·W + h·R + b)    h′ = z⊙h + (1 - z)⊙n
///     n = tanh(x·W + b + r⊙(h·R + bᵣ))     reset after the product
///     n = tanh(x·W + b + (r⊙h)·R)          reset before it
/// - Shapes: weights [*, 3·units] in Keras's order z r n; bias [2, 3·units] (of the inputs, of the state) with reset after
///   the product, else [3·units]; h [batch, units]. The four vectors of a unit are n r z m, m the product in r⊙(...).
/// - Errors: none; a NaN propagates.
/// - Source: Cho et al. 2014 (before); cuDNN and Keras 3 (after).
final class GRUCell: RecurrentCell {
  private let functions: CellActivations
  private let chosen: CellOptions
  let resetsAfter: Bool

  static func make(_ fields: Fields, fast: Bool) throws(LSTMError) -> RecurrentCell {
    let functions = try CellActivations(fields, fast: fast)
    let resetsAfter = try fields.boolean("reset_after", default: true)
    let options = try CellOptions(fields)
    if !resetsAfter {
      if options.gateClip < .infinity { throw fields.error("gate_clip", "null without reset_after", nil) }
      if options.zoneoutHidden > 0 { throw fields.error("zoneout_hidden", "0 without reset_after", nil) }
      if options.normEpsilon != nil { throw fields.error("layer_normalization", "false without reset_after", nil) }
    }
    return GRUCell(functions, options, resetsAfter: resetsAfter)
  }

  private init(_ functions: CellActivations, _ options: CellOptions, resetsAfter: Bool) {
    (self.functions, chosen, self.resetsAfter) = (functions, options, resetsAfter)
    super.init(
      weightGates: 3, biasGates: resetsAfter ? 6 : 3, inputs: Feed(first: 0, count: 3, gates: [2, 1, 0, 0]),
      hidden: Feed(first: 1, count: 3, gates: [1, 0, 2, 0]),
      hasMemory: false)
  }

  override var insides: [StaticString] { ["hidden", "gates"] }
  override var shownGates: Int { 3 }

  override func writeGates(_ kept: Floats, count: Int, to gates: MutableFloats, units: Int, _ kernels: Kernels) {
    let (z, r, n, lanes) = (gates, gates + units, gates + 2 * units, kernels.lanes)
    if !isSplit, functions.areTanhAndSigmoid {
      z.copy(from: kept + 2 * lanes, count: count)
      r.copy(from: kept + lanes, count: count)
      return n.copy(from: kept, count: count)
    }
    let limit = chosen.gateClip
    functions.activate(functions.recurrentActivation, limit: limit, count, kept + 2 * lanes, to: z, kernels)
    functions.activate(functions.recurrentActivation, limit: limit, count, kept + lanes, to: r, kernels)
    kernels.multiply(count, r, kept + 3 * lanes, n)
    kernels.add(count, kept, to: n)
    functions.activate(functions.activation, limit: limit, count, n, to: n, kernels)
  }

  override var options: CellOptions? { chosen }
  override var isSplit: Bool { !chosen.isEmpty }

  override func biasGates(vector: Int) -> (Int, Int) {
    switch vector {
    case 0: (2, -1)
    case 1: (1, resetsAfter ? 4 : -1)
    case 2: (0, resetsAfter ? 3 : -1)
    default: (resetsAfter ? 5 : -1, -1)
    }
  }

  /// The activation of the reset gate, elementwise.
  var resetActivation: UInt32 { functions.recurrentActivation }

  override var isBounded: Bool { functions.areTanhAndSigmoid }

  override func forward(_ step: inout lstm_cell_forward, _ kernels: Kernels) {
    (step.activation, step.recurrent_activation) = (functions.activation, functions.recurrentActivation)
    if !isSplit { return kernels.gruForward(&step) }
    chosen.set(&step.options, isGRU: true)
    kernels.splitForward(&step)
  }

  override func backward(_ step: inout lstm_cell_backward, _ kernels: Kernels) {
    (step.activation, step.recurrent_activation) = (functions.activation, functions.recurrentActivation)
    if !isSplit { return kernels.gruBackward(&step) }
    chosen.set(&step.options, isGRU: true)
    kernels.splitBackward(&step)
  }
}
