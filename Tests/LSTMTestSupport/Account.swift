public import LSTMTensors

/// An allocator that counts, and fails when its time has come.
public final class Account {
  public var live: [UnsafeMutableRawPointer: Int] = [:]
  public var left: Int
  public var wrong = 0

  public init(allocations: Int = .max) { left = allocations }

  public var allocator: Allocator {
    Allocator(
      allocate: { size, alignment, user in
        let account = Unmanaged<Account>.fromOpaque(user!).takeUnretainedValue()
        guard account.left > 0 else { return nil }
        account.left -= 1
        if alignment != 64 || size <= 0 { account.wrong += 1 }
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: alignment)
        // Not zero: who wants zeros makes them.
        memory.initializeMemory(as: UInt8.self, repeating: 0xa5, count: size)
        account.live[memory] = size
        return memory
      },
      deallocate: { memory, size, user in
        let account = Unmanaged<Account>.fromOpaque(user!).takeUnretainedValue()
        if account.live.removeValue(forKey: memory!) != size { account.wrong += 1 }
        memory?.deallocate()
      }, user: Unmanaged.passUnretained(self).toOpaque())
  }
}
