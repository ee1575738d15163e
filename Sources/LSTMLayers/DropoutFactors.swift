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
  drawDropout(factors, count: count, rate: rate, &random)
}

/// The same; the sequence goes on where this ends.
func drawDropout(_ factors: MutableFloats, count: Int, rate: Double, _ random: inout RandomSequence) {
  draw(factors, count: count, rate: rate, 0, else: Float(1 / (1 - rate)), &random)
}

/// `chosen` with probability `rate`, else `other`. The sequence goes on where this ends.
func draw(
  _ numbers: MutableFloats, count: Int, rate: Double, _ chosen: Float, else other: Float,
  _ random: inout RandomSequence
) {
  let threshold = UInt32(min(rate * 0x1p32, 0x1p32 - 1))
  var i = 0
  while i < count {
    let bits = random.bits()
    numbers[i] = UInt32(truncatingIfNeeded: bits) < threshold ? chosen : other
    if i + 1 < count { numbers[i + 1] = UInt32(bits >> 32) < threshold ? chosen : other }
    i += 2
  }
}
