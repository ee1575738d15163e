internal import CLSTMShim
internal import LSTMDescription
internal import LSTMTensors

/// What the forget gates of an slstm and of an mlstm begin with, spread over the units of a head or over the heads, so that
/// some remember long and some short.
///
/// - Source: the code of Beck et al. 2024.
enum ForgetBias: Int {
  /// From 5 to -7, 5 - 12 rˣ with x = 0.3 for the share r of the way.
  case powerlaw
  /// From 3 to 6 in equal steps.
  case linspace
  case zeros

  static func read(_ fields: Fields, default standard: ForgetBias) throws(LSTMError) -> ForgetBias {
    let names: [StaticString] = ["powerlaw", "linspace", "zeros"]
    return ForgetBias(rawValue: try fields.choice("forget_bias", names, default: standard.rawValue)) ?? standard
  }

  /// Of number i of `count`.
  func value(_ i: Int, of count: Int) -> Float {
    let share = count > 1 ? Double(i) / Double(count - 1) : 0
    switch self {
    case .powerlaw: return Float(5 - 12 * shim_pow(share, 0.3))
    case .linspace: return Float(3 + 3 * share)
    case .zeros: return 0
    }
  }
}

/// The number of heads, into which the units are divided.
func readHeads(_ fields: Fields, units: Int) throws(LSTMError) -> Int {
  let heads = try fields.integer("heads", 1...Fields.unlimited, default: 1)
  guard units % heads == 0 else { throw fields.error("heads", "a divisor of units, \(units)", nil) }
  return heads
}
