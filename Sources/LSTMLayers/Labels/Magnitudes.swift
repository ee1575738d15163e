internal import CLSTMShim

/// A number of more than 0 as mantissa · 2^exponent, the mantissa from 1 to below 2.
///
/// What logarithms are taken for elsewhere, products of thousands of probabilities and their sums, stays exact to the
/// digits of a Double without one, and costs a few additions of integers instead of an exponential for each term.
public struct Magnitude: BitwiseCopyable {
  public let mantissa: Double
  public let exponent: Int

  /// So small that nothing is left of it beside a probability, however small that is, and no sum of a sequence's
  /// exponents overflows.
  public static var nothing: Magnitude { Magnitude(mantissa: 1, exponent: -1 << 58) }
  public static var one: Magnitude { Magnitude(mantissa: 1, exponent: 0) }

  @inline(__always) public init(mantissa: Double, exponent: Int) {
    (self.mantissa, self.exponent) = (mantissa, exponent)
  }

  /// Of a number from the least normal Float on, times 2^exponent.
  @inline(__always) public init(_ x: Double, exponent: Int = 0) {
    let bits = x.bitPattern
    self.init(
      mantissa: Double(bitPattern: bits & 0x000F_FFFF_FFFF_FFFF | 0x3FF0_0000_0000_0000),
      exponent: exponent &+ Int(truncatingIfNeeded: bits >> 52) &- 1023)
  }

  /// e^x; x is no NaN, and a size of 10^9 or more is taken for that.
  public init(exp x: Double) {
    let x = min(max(x, -1e9), 1e9)
    let twos = (x * 1.4426950408889634).rounded()
    // ln 2 in two parts, so that their products with whole numbers are exact.
    self.init(shim_exp(x - twos * 0.693147180369123816490 - twos * 1.90821492927058770002e-10), exponent: Int(twos))
  }

  public var logarithm: Double { shim_log(mantissa) + Double(exponent) * 0.6931471805599453 }

  @inline(__always) public static func * (a: Magnitude, b: Magnitude) -> Magnitude {
    Magnitude(a.mantissa * b.mantissa, exponent: a.exponent &+ b.exponent)
  }

  @inline(__always) public static func / (a: Magnitude, b: Magnitude) -> Magnitude {
    Magnitude(mantissa: a.mantissa / b.mantissa, exponent: a.exponent &- b.exponent)
  }

  /// a / b, which is 1 at most, but for what was rounded.
  @inline(__always) public static func share(_ a: Magnitude, of b: Magnitude) -> Double {
    let quotient = a / b
    return quotient.mantissa * powerOfTwo(min(1, quotient.exponent))
  }

  @inline(__always) public static func sum(_ a: Magnitude, _ b: Magnitude, _ c: Magnitude) -> Magnitude {
    let exponent = max(a.exponent, max(b.exponent, c.exponent))
    return Magnitude(
      a.mantissa * powerOfTwo(a.exponent &- exponent) + b.mantissa * powerOfTwo(b.exponent &- exponent)
        + c.mantissa * powerOfTwo(c.exponent &- exponent), exponent: exponent)
  }

  /// 2^exponent for an exponent of 1 at most; 0 where that is no normal number.
  @inline(__always) static func powerOfTwo(_ exponent: Int) -> Double {
    Double(bitPattern: UInt64(truncatingIfNeeded: max(exponent &+ 1023, 0)) << 52)
  }
}

/// Magnitudes in memory, mantissas and exponents apart.
public struct Magnitudes: BitwiseCopyable {
  public let mantissas: UnsafeMutablePointer<Double>
  public let exponents: UnsafeMutablePointer<Int>

  /// Floats of memory for so many.
  public static var floats: Int { 4 }

  /// - Parameter memory: `floats` for each, at a multiple of 8 bytes.
  public init(_ memory: UnsafeMutablePointer<Float>, count: Int) {
    mantissas = UnsafeMutableRawPointer(memory).assumingMemoryBound(to: Double.self)
    exponents = UnsafeMutableRawPointer(memory + 2 * count).assumingMemoryBound(to: Int.self)
  }

  private init(_ mantissas: UnsafeMutablePointer<Double>, _ exponents: UnsafeMutablePointer<Int>) {
    (self.mantissas, self.exponents) = (mantissas, exponents)
  }

  @inline(__always) public static func + (all: Magnitudes, places: Int) -> Magnitudes {
    Magnitudes(all.mantissas + places, all.exponents + places)
  }

  @inline(__always) public subscript(i: Int) -> Magnitude {
    get { Magnitude(mantissa: mantissas[i], exponent: exponents[i]) }
    nonmutating set { (mantissas[i], exponents[i]) = (newValue.mantissa, newValue.exponent) }
  }
}
