import LSTMTensors
import Testing

@Suite(.serialized) struct TeamTests {
  @Test(arguments: [1, 2, 3, 8])
  func eachItemOnce(_ workers: Int) throws {
    let team = try Team.make(workers)
    for items in [0, 1, 2, 3, 7, 64, 1000] {
      var done = [Int](repeating: 0, count: items)
      done.withUnsafeMutableBufferPointer { done in
        team.share(items) { done[$0] += 1 }
      }
      #expect(done.allSatisfy { $0 == 1 })
    }
  }
}
