/// Numbers at an address of their own, as long as this object lives.
public final class Numbers<T: BitwiseCopyable> {
  public let start: UnsafeMutablePointer<T>
  public let count: Int

  public init(_ values: [T]) {
    (start, count) = (.allocate(capacity: values.count + 1), values.count)
    start.initialize(from: values, count: count)
  }

  deinit { start.deallocate() }

  public var values: [T] { Array(UnsafeBufferPointer(start: start, count: count)) }
}

/// Numbers that are the same in every run (SplitMix64).
public struct Generator: RandomNumberGenerator {
  private var state: UInt64

  public init(_ seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  public mutating func floats(_ count: Int, in range: ClosedRange<Float> = -1...1) -> [Float] {
    (0..<count).map { _ in Float.random(in: range, using: &self) }
  }

  public mutating func integers(_ count: Int, in range: Range<Int>) -> [Int] {
    (0..<count).map { _ in Int.random(in: range, using: &self) }
  }
}

/// Numbers as they lie in memory: what is equal in these is equal to the last bit.
public func bits(_ values: some Sequence<Float>) -> [UInt32] { values.map(\.bitPattern) }
public func bits(_ values: some Sequence<Double>) -> [UInt64] { values.map(\.bitPattern) }
