internal import CLSTMKernels
internal import LSTMDescription
internal import LSTMTensors

/// What a cell may do beyond its standard equations.
struct CellOptions {
  /// Limits of the numbers before activation and of the memory; infinite: none.
  private(set) var gateClip = Float.infinity
  private(set) var memoryClip = Float.infinity
  private(set) var hasPeepholes = false
  private(set) var isCoupled = false
  /// Shares of the hidden state and of the memory that stay as they were.
  private(set) var zoneoutHidden = 0.0
  private(set) var zoneoutMemory = 0.0
  /// Of layer normalization: what is added to a variance; nil: there is none.
  private(set) var normEpsilon: Float?

  /// Those of any gated cell.
  init(_ fields: Fields) throws(LSTMError) {
    gateClip = try CellOptions.limit(fields, "gate_clip")
    zoneoutHidden = try readRate(fields, "zoneout_hidden", default: 0)
    if try fields.boolean("layer_normalization", default: false) {
      normEpsilon = try readEpsilon(fields, "norm_epsilon")
    } else if try fields.optionalNumber("norm_epsilon", .any) != nil {
      throw fields.error("norm_epsilon", "null without layer_normalization", nil)
    }
  }

  /// Those of an LSTM.
  static func lstm(_ fields: Fields) throws(LSTMError) -> CellOptions {
    var options = try CellOptions(fields)
    options.hasPeepholes = try fields.boolean("peepholes", default: false)
    options.isCoupled = try fields.boolean("coupled_gates", default: false)
    options.memoryClip = try limit(fields, "cell_clip")
    options.zoneoutMemory = try readRate(fields, "zoneout_memory", default: 0)
    return options
  }

  private static func limit(_ fields: Fields, _ key: StaticString) throws(LSTMError) -> Float {
    try fields.optionalNumber(key, .positive).map { Float($0) } ?? .infinity
  }

  /// Whether all is standard.
  var isEmpty: Bool {
    gateClip == .infinity && memoryClip == .infinity && !hasPeepholes && !isCoupled && zoneoutHidden == 0
      && zoneoutMemory == 0 && normEpsilon == nil
  }

  /// What kernels are told; the arrays are left to the layer.
  func set(_ step: inout lstm_cell_options, isGRU: Bool) {
    (step.gate_limit, step.memory_limit) = (gateClip, memoryClip)
    (step.gru, step.coupled) = (isGRU ? 1 : 0, isCoupled ? 1 : 0)
  }
}
