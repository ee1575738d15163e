public import LSTMTensors

/// Tokens and their indices: 0 is padding and 1 an unknown token, both without text; the others are in the order in
/// which they were appended.
public final class Vocabulary {
  public static let padding: Int32 = 0
  public static let unknown: Int32 = 1

  /// The bytes of all tokens one after the other. Token `i` goes from `offsets[i]` to `offsets[i + 1]`.
  private let bytes: List<UInt8>
  private let offsets: List<Int>
  /// A hash table with linear probing, at most half full, its size a power of two: zero, or the upper half of a token's
  /// hash and, in the lower half, its index.
  private var slots: Buffer
  private(set) var slotCount: Int
  private let allocator: Allocator

  /// Probes after which a larger table is tried, and the most slots an entry that it is tried for: tokens made to
  /// collide are scattered again, as the size goes into the hash, and memory stays in proportion.
  private static let probeLimit = 64
  private static let slotLimit = 64

  private init(_ bytes: List<UInt8>, _ offsets: List<Int>, _ slots: Buffer, _ slotCount: Int, _ allocator: Allocator) {
    (self.bytes, self.offsets, self.allocator) = (bytes, offsets, allocator)
    (self.slots, self.slotCount) = (slots, slotCount)
  }

  /// With the two entries that have no text.
  public static func make(_ allocator: Allocator) throws(LSTMError) -> Vocabulary {
    let offsets = List<Int>(allocator)
    for _ in 0...2 { try offsets.append(0) }
    let slotCount = 16
    let slots = try Buffer.make(allocator, slotCount, of: UInt64.self)
    return Vocabulary(List(allocator), offsets, slots, slotCount, allocator)
  }

  public func copy(_ allocator: Allocator) throws(LSTMError) -> Vocabulary {
    let bytes = List<UInt8>(allocator)
    try bytes.append(self.bytes.elements)
    let offsets = List<Int>(allocator)
    try offsets.append(self.offsets.elements)
    let slots = try Buffer.make(allocator, bytes: self.slots.byteCount)
    slots.base.copyMemory(from: self.slots.base, byteCount: self.slots.byteCount)
    return Vocabulary(bytes, offsets, slots, slotCount, allocator)
  }

  /// Whether the other has the same tokens with the same indices.
  public func holdsSame(as other: Vocabulary) -> Bool {
    bytes.elements.elementsEqual(other.bytes.elements) && offsets.elements.elementsEqual(other.offsets.elements)
  }

  /// Entries, the two without text included.
  public var count: Int { offsets.count - 1 }

  /// The bytes of a token, none for the first two; good until the next token is appended.
  public func token(_ index: Int) -> UnsafeBufferPointer<UInt8> {
    let start = offsets[index]
    return UnsafeBufferPointer(start: bytes.start + start, count: offsets[index + 1] - start)
  }

  /// The index of a token, `unknown` if it is not there.
  public func index(of token: UnsafeBufferPointer<UInt8>) -> Int32 {
    let found = find(token).index
    return found == 0 ? Self.unknown : Int32(found)
  }

  /// False: the token is there already, and nothing is changed.
  public func append(_ token: UnsafeBufferPointer<UInt8>) throws(LSTMError) -> Bool {
    try insert(token).isNew
  }

  /// The index of a token, which is appended if it is not there. After an error nothing is changed.
  func insert(_ token: UnsafeBufferPointer<UInt8>) throws(LSTMError) -> (index: Int, isNew: Bool) {
    var place = find(token)
    if place.index != 0 { return (place.index, false) }
    let index = count
    guard index < Int32.max else { throw .unsupported("a vocabulary of more than 2147483647 tokens") }
    try bytes.reserve(token.count)
    try offsets.reserve(1)
    if 2 * index >= slotCount || (place.probes > Self.probeLimit && slotCount < Self.slotLimit * index) {
      try grow()
      place = find(token)
    }
    try bytes.append(token)
    try offsets.append(bytes.count)
    setSlot(place.slot, place.hash, index)
    return (index, true)
  }

  /// Where a token is, or the free slot where it belongs (index 0).
  private func find(_ token: UnsafeBufferPointer<UInt8>) -> (index: Int, slot: Int, hash: UInt64, probes: Int) {
    let hash = Self.hash(token, slotCount)
    let slots = slots.pointer(to: UInt64.self)
    var slot = Int(truncatingIfNeeded: hash) & (slotCount - 1)
    var probes = 1
    while slots[slot] != 0 {
      let index = Int(truncatingIfNeeded: slots[slot] & 0xffff_ffff)
      if slots[slot] >> 32 == hash >> 32, isEqual(self.token(index), token) { return (index, slot, hash, probes) }
      slot = (slot + 1) & (slotCount - 1)
      probes += 1
    }
    return (0, slot, hash, probes)
  }

  private func setSlot(_ slot: Int, _ hash: UInt64, _ index: Int) {
    slots.pointer(to: UInt64.self)[slot] = (hash >> 32) << 32 | UInt64(index)
  }

  private func grow() throws(LSTMError) {
    slots = try Buffer.make(allocator, try Size.product(slotCount, 2), of: UInt64.self)
    slotCount *= 2
    for index in 2..<count {
      let place = find(token(index))
      setSlot(place.slot, place.hash, index)
    }
  }

  /// Depends on the number of slots, so that tokens which collide in one table do not in the next.
  static func hash(_ token: UnsafeBufferPointer<UInt8>, _ slotCount: Int) -> UInt64 {
    let bytes = UnsafeRawBufferPointer(token)
    var hash = seed(byteCount: bytes.count, slotCount: slotCount)
    var i = 0
    while i + 8 <= bytes.count {
      hash = mix(hash ^ bytes.loadUnaligned(fromByteOffset: i, as: UInt64.self))
      i += 8
    }
    var rest: UInt64 = 0
    while i < bytes.count {
      rest = rest << 8 | UInt64(bytes[i])
      i += 1
    }
    return mix(hash ^ rest)
  }

  static func seed(byteCount: Int, slotCount: Int) -> UInt64 { UInt64(slotCount) ^ UInt64(byteCount) << 32 }

  /// Every bit of the result depends on every bit of `x`.
  ///
  /// - Source: Steele, Lea & Flood, "Fast splittable pseudorandom number generators", 2014 (mix64 variant 13).
  static func mix(_ x: UInt64) -> UInt64 {
    var x = x
    x = (x ^ x >> 30) &* 0xbf58_476d_1ce4_e5b9
    x = (x ^ x >> 27) &* 0x94d0_49bb_1331_11eb
    return x ^ x >> 31
  }
}

private func isEqual(_ a: UnsafeBufferPointer<UInt8>, _ b: UnsafeBufferPointer<UInt8>) -> Bool {
  guard a.count == b.count else { return false }
  for i in 0..<a.count where a[i] != b[i] { return false }
  return true
}
