import LSTMTestSupport
import LSTMTensors
import Testing

/// What a closure says.
private final class Work: TeamWork {
  private let body: (_ item: Int, _ count: Int) -> Void
  init(_ body: @escaping (_ item: Int, _ count: Int) -> Void) { self.body = body }
  override func run(_ item: Int, of count: Int) { body(item, count) }
}

extension Team {
  fileprivate func share(_ items: Int, _ body: (_ item: Int) -> Void) {
    withoutActuallyEscaping(body) { body in share(items, Work { item, _ in body(item) }) }
  }

  fileprivate func together(limit: Int = .max, _ body: (_ worker: Int, _ workers: Int) -> Void) {
    withoutActuallyEscaping(body) { together(limit: limit, Work($0)) }
  }
}

/// The Swift face; the protocol below it is stressed in Tests/Threads.
@Suite(.serialized) struct TeamTests {
  static let sizes = [1, 2, 3, 8]

  @Test(arguments: sizes)
  func eachItemOnce(_ workers: Int) throws {
    let team = try Team.make(workers)
    #expect(team.workers == workers)
    for items in [-1, 0, 1, 2, 3, 7, 64, 1000] {
      var counts = [Int](repeating: 0, count: max(items, 0))
      counts.withUnsafeMutableBufferPointer { counts in
        team.share(items) { counts[$0] += 1 }
      }
      #expect(counts.allSatisfy { $0 == 1 })
    }
  }

  @Test(arguments: sizes)
  func everyWorkerOnce(_ workers: Int) throws {
    let team = try Team.make(workers)
    for limit in [.max, 8, 3, 2, 1, 0, -1] {
      let expected = max(min(limit, workers), 1)
      var seen = [Int](repeating: 0, count: 8)
      seen.withUnsafeMutableBufferPointer { seen in
        team.together(limit: limit) { worker, workers in seen[worker] += workers }
      }
      #expect(seen == (0..<8).map { $0 < expected ? expected : 0 })
    }
  }

  /// Sums of fixed shards, taken in their order, are the same bits whoever computed them.
  @Test func theSameBits() throws {
    let numbers = (0..<6400).map { (i: Int) -> Float in 1 / Float(i + 1) - 0.37 * Float(i % 97) }
    func sum(_ workers: Int) throws -> Float {
      let team = try Team.make(workers)
      team.linger = 100
      var sums = [Float](repeating: 0, count: 64)
      for _ in 0..<20 {
        sums.withUnsafeMutableBufferPointer { sums in
          team.share(64) { shard in sums[shard] = numbers[100 * shard..<100 * shard + 100].reduce(0, +) }
        }
      }
      return sums.reduce(0, +)
    }
    let alone = stride(from: 0, to: 6400, by: 100).map { numbers[$0..<$0 + 100].reduce(0, +) }.reduce(0, +)
    for workers in Self.sizes { #expect(try sum(workers) == alone) }
  }

  /// A prefix sum in the parallel way: each step reads what others wrote in the step before.
  @Test(arguments: sizes)
  func meetings(_ workers: Int) throws {
    let team = try Team.make(workers)
    let rounds = 500
    var numbers = [Int](repeating: 0, count: 2 * workers)
    numbers.withUnsafeMutableBufferPointer { numbers in
      team.together { worker, workers in
        for round in 0..<rounds {
          let from = round % 2 * workers, to = (round + 1) % 2 * workers
          numbers[to + worker] = numbers[from + (worker + 1) % workers] + worker
          team.meet(workers, at: round % (team.workers + 1))
        }
      }
    }
    var expected = [Int](repeating: 0, count: workers)
    for _ in 0..<rounds { expected = (0..<workers).map { expected[($0 + 1) % workers] + $0 } }
    #expect(Array(numbers[..<workers]) == expected)
  }

  @Test func aJobWithinAJobRunsAlone() throws {
    let team = try Team.make(3)
    var sums = [Int](repeating: 0, count: 20)
    sums.withUnsafeMutableBufferPointer { sums in
      team.share(20) { outer in
        var sum = 0
        team.share(5) { inner in sum += outer * inner }
        team.together { worker, workers in
          team.meet(workers)
          sum += 100 * workers + worker
        }
        sums[outer] = sum
      }
    }
    #expect(sums == (0..<20).map { 10 * $0 + 100 })
  }

  @Test func waitingTooLongIsCounted() throws {
    let team = try Team.make(2)
    team.linger = 1000
    let start = ContinuousClock.now
    team.together { worker, workers in
      while worker == 0 && ContinuousClock.now - start < .milliseconds(20) {}
      team.meet(workers)
    }
    #expect(team.starved > 0.001 && team.starved < 10)
  }

  @Test(arguments: [8193, 1 << 31, .max])
  func tooManyThreads(_ workers: Int) {
    #expect(spokenError { _ = try Team.make(workers) } == "noMemory")
  }
}
