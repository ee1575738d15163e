/// Philox 4x64-10: random numbers as a function of a key and a counter, so that any of them can be had in any order, from
/// any thread, and the state to save is the counter alone.
///
/// - Source: Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011.
public struct Philox: Sendable {
  public typealias Block = (UInt64, UInt64, UInt64, UInt64)
  public let key: (UInt64, UInt64)

  public init(key: (UInt64, UInt64)) { self.key = key }

  public func block(_ counter: Block) -> Block {
    var (c0, c1, c2, c3) = counter
    var (k0, k1) = key
    for round in 0..<10 {
      if round > 0 {
        k0 &+= 0x9E37_79B9_7F4A_7C15
        k1 &+= 0xBB67_AE85_84CA_A73B
      }
      let a = c0.multipliedFullWidth(by: 0xD2E7_470E_E14C_6C93)
      let b = c2.multipliedFullWidth(by: 0xCA5A_8263_9512_1157)
      (c0, c1, c2, c3) = (b.high ^ c1 ^ k0, b.low, a.high ^ c3 ^ k1, a.low)
    }
    return (c0, c1, c2, c3)
  }
}

/// What random numbers are for: each purpose draws from a sequence of its own.
public enum RandomPurpose: UInt64 {
  case initialWeights = 1
  case dropout = 2
  case shuffling = 3
  case generation = 4
}

/// A sequence of random numbers: Philox blocks 0, 1, 2, ... for one seed, purpose and place (a layer and a step).
public struct RandomSequence {
  private let philox: Philox
  private let place: (UInt64, UInt64)
  private let branch: UInt64
  private var next: UInt64 = 0
  private var left = 0
  private var block: Philox.Block = (0, 0, 0, 0)

  /// - Parameter branch: tells apart sequences of one place: the parts of a batch and of a layer.
  public init(seed: UInt64, _ purpose: RandomPurpose, place: (UInt64, UInt64), branch: UInt64 = 0) {
    philox = Philox(key: (seed, purpose.rawValue))
    (self.place, self.branch) = (place, branch)
  }

  /// The sequence from its beginning for one part of 2^32 of what this one is for.
  public func part(_ part: UInt64) -> RandomSequence {
    RandomSequence(philox, place, branch: branch << 32 | part)
  }

  private init(_ philox: Philox, _ place: (UInt64, UInt64), branch: UInt64) {
    (self.philox, self.place, self.branch) = (philox, place, branch)
  }

  public mutating func bits() -> UInt64 {
    if left == 0 {
      block = philox.block((next, place.0, place.1, branch))
      next += 1
      left = 4
    }
    left -= 1
    switch left {
    case 3: return block.0
    case 2: return block.1
    case 1: return block.2
    default: return block.3
    }
  }

  /// In [0, 1), 53 bits.
  public mutating func uniform() -> Double { Double(bits() >> 11) * 0x1p-53 }

  /// In 0..<bound, every value as likely as the next to one part in 2^64/bound.
  public mutating func index(below bound: Int) -> Int {
    Int(bits().multipliedFullWidth(by: UInt64(bound)).high)
  }
}
