internal import CLSTMShim
public import LSTMKernels

/// Survival of Swift's own allocations, which trap when they fail.
///
/// While a call runs, blocks are set aside that such an allocation may fall back on; the code goes on, and finds out at the
/// next `check`. So: `try Memory.check()` before anything that cannot be undone (a handle given out, weights written, a
/// file opened) and in every loop whose number of Swift allocations a user decides.
public enum Memory {
  /// Begins a call. False: there is not even memory for the reserve, and nothing has happened yet.
  ///
  /// - Parameter supply: that of the object which the call is on.
  public static func open(_ supply: Supply? = nil) -> Bool { shim_reserve_open(supply?.blocks) == 0 }
  public static func close() { shim_reserve_close() }

  @inline(never) public static func check() throws(LSTMError) {
    if shim_reserve_used() != 0 { throw .noMemory }
  }

  /// Announces one allocation of Swift's that may be larger than the blocks set aside.
  @inline(never) public static func reserve(_ bytes: Int) throws(LSTMError) {
    if shim_reserve_add(bytes) != 0 { throw .noMemory }
    try check()
  }

  /// Appends to an array whose length a user decides.
  public static func append<T>(_ value: T, to list: inout [T]) throws(LSTMError) {
    if list.count == list.capacity {
      try reserve(64 + 4 * (list.count + 8) * MemoryLayout<T>.stride)
    }
    list.append(value)
    try check()
  }
}

/// Blocks that an object keeps for the calls on it.
public final class Supply {
  fileprivate let blocks: OpaquePointer

  private init(_ blocks: OpaquePointer) { self.blocks = blocks }

  public static func make() throws(LSTMError) -> Supply {
    guard let blocks = shim_supply_new() else { throw .noMemory }
    return Supply(blocks)
  }

  deinit { shim_supply_free(blocks) }
}

/// Where a model's memory of run-time size comes from.
public struct Allocator: Sendable {
  public typealias Allocate = @convention(c) (Int, Int, UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?
  public typealias Deallocate = @convention(c) (UnsafeMutableRawPointer?, Int, UnsafeMutableRawPointer?) -> Void

  private struct Hooks {
    let allocate: Allocate
    let deallocate: Deallocate
    let user: UnsafeMutableRawPointer?
  }
  nonisolated(unsafe) private let hooks: Hooks?

  /// malloc.
  public static let system = Allocator(hooks: nil)

  private init(hooks: Hooks?) { self.hooks = hooks }

  public init(allocate: Allocate, deallocate: Deallocate, user: UnsafeMutableRawPointer?) {
    hooks = Hooks(allocate: allocate, deallocate: deallocate, user: user)
  }

  static let alignment = 64

  func allocate(_ bytes: Int) -> UnsafeMutableRawPointer? {
    guard let hooks else { return shim_allocate(bytes) }
    return hooks.allocate(bytes, Self.alignment, hooks.user)
  }

  func deallocate(_ memory: UnsafeMutableRawPointer, _ bytes: Int) {
    guard let hooks else { return shim_deallocate(memory) }
    hooks.deallocate(memory, bytes, hooks.user)
  }
}

/// A block of numeric memory, aligned to 64 bytes, freed with its last reference. Zeroed.
public final class Buffer {
  public let base: UnsafeMutableRawPointer
  /// Usable bytes, without the slack.
  public let byteCount: Int
  private let allocator: Allocator

  /// Kernels read whole panels: up to four vectors past the end of any matrix in a buffer.
  private static let slack = 256

  private init(_ base: UnsafeMutableRawPointer, _ byteCount: Int, _ allocator: Allocator) {
    (self.base, self.byteCount, self.allocator) = (base, byteCount, allocator)
  }

  @inline(never) public static func make(_ allocator: Allocator, bytes: Int) throws(LSTMError) -> Buffer {
    let whole = try Size.sum(bytes, slack)
    guard let memory = allocator.allocate(whole) else { throw .noMemory }
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: whole)
    return Buffer(memory, bytes, allocator)
  }

  /// `count` elements of a plain type.
  public static func make<T: BitwiseCopyable>(
    _ allocator: Allocator, _ count: Int, of type: T.Type
  ) throws(LSTMError) -> Buffer {
    try make(allocator, bytes: try Size.product(count, MemoryLayout<T>.stride))
  }

  deinit { allocator.deallocate(base, byteCount + Self.slack) }

  public func pointer<T: BitwiseCopyable>(to type: T.Type) -> UnsafeMutablePointer<T> {
    base.assumingMemoryBound(to: T.self)
  }

  public var floats: UnsafeMutablePointer<Float> { pointer(to: Float.self) }
  public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: byteCount) }
}

/// A growing list of plain values in memory that may run out without harm: for what is as long as a user's text.
public final class List<T: BitwiseCopyable> {
  public private(set) var count = 0
  private var buffer: Buffer?
  private let allocator: Allocator

  public init(_ allocator: Allocator = .system) { self.allocator = allocator }

  private var capacity: Int { (buffer?.byteCount ?? 0) / MemoryLayout<T>.stride }

  public var start: UnsafeMutablePointer<T> {
    buffer?.pointer(to: T.self) ?? UnsafeMutablePointer(bitPattern: MemoryLayout<T>.alignment)!
  }
  public var elements: UnsafeBufferPointer<T> { UnsafeBufferPointer(start: start, count: count) }

  public subscript(i: Int) -> T {
    get {
      precondition(i >= 0 && i < count)
      return start[i]
    }
    set {
      precondition(i >= 0 && i < count)
      start[i] = newValue
    }
  }

  /// Room for `extra` more elements without another allocation.
  public func reserve(_ extra: Int) throws(LSTMError) {
    let needed = try Size.sum(count, extra)
    if needed <= capacity { return }
    let larger = try Buffer.make(allocator, max(needed, 2 * capacity, 16), of: T.self)
    larger.pointer(to: T.self).copy(from: start, count: count)
    buffer = larger
  }

  public func append(_ value: T) throws(LSTMError) {
    if count == capacity { try reserve(1) }
    start[count] = value
    count += 1
  }

  public func append(_ values: UnsafeBufferPointer<T>) throws(LSTMError) {
    try reserve(values.count)
    if let from = values.baseAddress { (start + count).copy(from: from, count: values.count) }
    count += values.count
  }

  /// Makes room for `extra` more elements, which the caller writes.
  public func extend(by extra: Int) throws(LSTMError) -> UnsafeMutablePointer<T> {
    try reserve(extra)
    count += extra
    return start + (count - extra)
  }

  public func removeLast(_ n: Int = 1) { count -= min(n, count) }
  public func removeAll() { count = 0 }
}
