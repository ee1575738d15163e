internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// Reads a share of numbers to drop.
func readRate(_ fields: Fields, _ key: StaticString, default standard: Double?) throws(LSTMError) -> Double {
  try fields.number(key, default: standard, expected: "a number of at least 0 and less than 1") { $0 >= 0 && $0 < 1 }
}

/// Factors to multiply with: 0 with probability `rate`, else 1 / (1 - rate).
func drawDropout(_ factors: MutableFloats, count: Int, rate: Double, _ random: RandomSequence) {
  var random = random
  let keep = Float(1 / (1 - rate))
  let threshold = UInt32(min(rate * 0x1p32, 0x1p32 - 1))
  var i = 0
  while i < count {
    let bits = random.bits()
    factors[i] = UInt32(truncatingIfNeeded: bits) < threshold ? 0 : keep
    if i + 1 < count { factors[i + 1] = UInt32(bits >> 32) < threshold ? 0 : keep }
    i += 2
  }
}
