internal import LSTMKernels
public import LSTMTensors
internal import Synchronization

/// Memory that a pass uses and nothing outlives, so that passes one after the other may use the same.
public final class Scratch {
  private var memory: Buffer?
  private let isTaken = Atomic<Bool>(false)

  public init() {}

  var base: MutableFloats { memory?.floats ?? MutableFloats(bitPattern: 64)! }

  /// Makes room. What was there is lost.
  public func prepare(_ count: Int, _ allocator: Allocator) throws(LSTMError) {
    if (memory?.byteCount ?? 0) / MemoryLayout<Float>.stride >= count, memory != nil { return }
    memory = nil
    memory = try Buffer.make(allocator, count, of: Float.self)
  }

  /// Whether the caller has it now to itself, until `release`. On any thread.
  public func claim() -> Bool { !isTaken.exchange(true, ordering: .acquiring) }
  public func release() { isTaken.store(false, ordering: .releasing) }
}
