import LSTMTestSupport
import LSTMTensors
import Testing

@Suite struct MemoryTests {
  @Test func buffersAreZeroAndGivenBack() throws {
    let account = Account()
    for bytes in [0, 1, 63, 64, 1000] {
      let buffer = try Buffer.make(account.allocator, bytes: bytes)
      #expect(buffer.byteCount == bytes && buffer.bytes.count == bytes)
      #expect(buffer.bytes.allSatisfy { $0 == 0 })
      #expect(Int(bitPattern: buffer.base) % 64 == 0)
      // What kernels may read past the end.
      #expect(account.live[buffer.base]! >= bytes + 256)
      withExtendedLifetime(buffer) {}
    }
    #expect(account.live.isEmpty && account.wrong == 0)
    #expect(try Buffer.make(.system, bytes: 3).bytes.count == 3)
  }

  @Test func failureIsAnError() throws {
    let account = Account(allocations: 1)
    let buffer = try Buffer.make(account.allocator, bytes: 8)
    #expect(spokenError { _ = try Buffer.make(account.allocator, bytes: 8) } == "noMemory")
    #expect(account.live.count == 1)
    withExtendedLifetime(buffer) {}
  }

  @Test func listsGrow() throws {
    let account = Account()
    do {
      let list = List<Int32>(account.allocator)
      #expect(list.count == 0 && list.elements.isEmpty)
      for i in 0..<1000 { try list.append(Int32(i)) }
      #expect(Array(list.elements) == Array(0..<1000))
      try [7, 8, 9].withUnsafeBufferPointer { try list.append($0) }
      try list.append(UnsafeBufferPointer(start: nil, count: 0))
      #expect(list.count == 1003 && list[1002] == 9)
      list[3] = -1
      #expect(list[3] == -1)
      list.removeLast(1000)
      #expect(Array(list.elements) == [0, 1, 2])
      list.removeLast(5)
      #expect(list.count == 0)
      try list.append(4)
      list.removeAll()
      #expect(list.count == 0)
      // Doubling: ten times for a thousand, and one block at a time.
      #expect(account.live.count == 1)
      #expect(Int.max - account.left <= 10)
      withExtendedLifetime(list) {}
    }
    #expect(account.live.isEmpty && account.wrong == 0)
  }

  /// A list whose memory runs out keeps what it has.
  @Test(arguments: 0..<6)
  func listsSurviveFailure(_ allocations: Int) throws {
    let account = Account(allocations: allocations)
    do {
      let list = List<UInt8>(account.allocator)
      var added = 0
      let error = spokenError {
        while true {
          try list.append(UInt8(truncatingIfNeeded: added))
          added += 1
        }
      }
      #expect(error == "noMemory")
      #expect(list.count == added)
      #expect(list.elements.elementsEqual((0..<added).map { UInt8(truncatingIfNeeded: $0) }))
      #expect(spokenError { try list.reserve(.max) } == "noMemory")
      #expect(list.count == added && (added > 0) == (allocations > 0))
      withExtendedLifetime(list) {}
    }
    #expect(account.live.isEmpty && account.wrong == 0)
  }

  @Test func reserveMakesRoomOnce() throws {
    let account = Account()
    let list = List<Double>(account.allocator)
    try list.reserve(500)
    let start = list.start
    for i in 0..<500 { try list.append(Double(i)) }
    #expect(list.start == start && Int.max - account.left == 1)
  }
}
