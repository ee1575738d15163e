/// Sums and products of sizes that a user chose. What does not fit in memory's address range is an error, never a trap.
public enum Size {
  /// Sizes stay below this, in elements: their byte counts then fit an Int with room to spare.
  public static let limit = 1 << 56

  @inline(never) public static func product(_ a: Int, _ b: Int) throws(LSTMError) -> Int {
    let (result, overflow) = a.multipliedReportingOverflow(by: b)
    guard !overflow, result <= limit else { throw .noMemory }
    return result
  }

  public static func product(_ a: Int, _ b: Int, _ c: Int) throws(LSTMError) -> Int {
    try product(try product(a, b), c)
  }

  @inline(never) public static func sum(_ a: Int, _ b: Int) throws(LSTMError) -> Int {
    guard a <= limit, b <= limit, a + b <= limit else { throw .noMemory }
    return a + b
  }
}

/// Deals out places in one block of floats, each at a multiple of 16. The same calls with the same extents deal the same
/// places, so a plan of a workspace is a function of its extents and need not be kept.
///
/// Sums and products saturate: a plan that is too large has a `count` of at least `Size.limit`, which no buffer can have.
public struct Carver {
  public private(set) var count = 0

  public init() {}

  /// The place of a·b·c·d floats.
  @inline(never) public mutating func take(_ a: Int, _ b: Int = 1, _ c: Int = 1, _ d: Int = 1) -> Int {
    let place = count
    let size = Carver.product(Carver.product(a, b), Carver.product(c, d))
    count = min(Size.limit, place + (size + 15) / 16 * 16)
    return min(place, Size.limit)
  }

  @inline(never) public static func product(_ a: Int, _ b: Int) -> Int {
    let (result, overflow) = a.multipliedReportingOverflow(by: b)
    return overflow ? Size.limit : min(result, Size.limit)
  }
}
