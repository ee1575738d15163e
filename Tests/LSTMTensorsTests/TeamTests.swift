import LSTMTensors
import Testing

/// What a closure says.
private final class Work: TeamWork {
  private let body: (Int, Int) -> Void
  init(_ body: @escaping (_ item: Int, _ count: Int) -> Void) { self.body = body }
  override func run(_ item: Int, of count: Int) { body(item, count) }
}

@Suite(.serialized) struct TeamTests {
  @Test(arguments: [1, 2, 3, 8])
  func eachItemOnce(_ workers: Int) throws {
    let team = try Team.make(workers)
    for items in [0, 1, 2, 3, 7, 64, 1000] {
      let done = UnsafeMutablePointer<Int>.allocate(capacity: max(1, items))
      defer { done.deallocate() }
      done.initialize(repeating: 0, count: max(1, items))
      team.share(items, Work { item, count in
        done[item] += 1
        if count != items { done[item] = -1 }
      })
      #expect((0..<items).allSatisfy { done[$0] == 1 })
    }
  }
}
