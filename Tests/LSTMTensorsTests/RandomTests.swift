import LSTMTensors
import Testing

@Suite struct RandomTests {
  private typealias Case = (key: (UInt64, UInt64), counter: Philox.Block, block: Philox.Block)

  /// numpy's; make_philox_cases.py prints them. The first, second and fourth are also Random123's known answers.
  private let cases: [Case] = [
    (
      (0x0, 0x0),
      (0x0, 0x0, 0x0, 0x0),
      (0x16554d9eca36314c, 0xdb20fe9d672d0fdc, 0xd7e772cee186176b, 0x7e68b68aec7ba23b)
    ),
    (
      (0xffffffffffffffff, 0xffffffffffffffff),
      (0xffffffffffffffff, 0xffffffffffffffff, 0xffffffffffffffff, 0xffffffffffffffff),
      (0x87b092c3013fe90b, 0x438c3c67be8d0224, 0x9cc7d7c69cd777b6, 0xa09caebf594f0ba0)
    ),
    (
      (0x1, 0x2),
      (0x3, 0x4, 0x5, 0x6),
      (0x8fe589c1e3af7c9f, 0x38145b0ab66e2b8, 0x470dc167ada021e5, 0xc747dda6a6db44d2)
    ),
    (
      (0x452821e638d01377, 0xbe5466cf34e90c6c),
      (0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x82efa98ec4e6c89),
      (0xa528f45403e61d95, 0x38c72dbd566e9788, 0xa5a1610e72fd18b5, 0x57bd43b5e52b7fe6)
    ),
    (
      (0x5, 0x1),
      (0x7, 0x0, 0x0, 0x0),
      (0xb4677c8e8beb01bd, 0x3398a9da596124c7, 0xb2901aaee9246dea, 0x27f5def13101c933)
    ),
  ]

  @Test func philoxIsNumpys() {
    for one in cases { #expect(Philox(key: one.key).block(one.counter) == one.block) }
  }

  /// Blocks 0, 1, 2, ... in order, each word by word.
  @Test func sequencesAreBlocksInOrder() {
    var sequence = RandomSequence(seed: 9, .dropout, place: (4, 5))
    for block in 0..<3 {
      let expected = Philox(key: (9, RandomPurpose.dropout.rawValue)).block((UInt64(block), 4, 5, 0))
      #expect(sequence.bits() == expected.0)
      #expect(sequence.bits() == expected.1)
      #expect(sequence.bits() == expected.2)
      #expect(sequence.bits() == expected.3)
    }
  }

  @Test func purposesAndPlacesDoNotShareNumbers() {
    var seen = Set<UInt64>()
    for purpose in [RandomPurpose.initialWeights, .dropout, .shuffling, .generation] {
      for place in [(0, 0), (0, 1), (1, 0)] as [(UInt64, UInt64)] {
        for seed in [0, 1] as [UInt64] {
          var sequence = RandomSequence(seed: seed, purpose, place: place)
          for _ in 0..<20 { seen.insert(sequence.bits()) }
        }
      }
    }
    #expect(seen.count == 4 * 3 * 2 * 20)
  }

  /// Mean and variance of the uniform distribution within five deviations, and never 1.
  @Test func uniformIsUniform() {
    var sequence = RandomSequence(seed: 1, .dropout, place: (0, 0))
    let count = 100_000
    let numbers = (0..<count).map { _ in sequence.uniform() }
    #expect(numbers.allSatisfy { $0 >= 0 && $0 < 1 })
    let mean = numbers.reduce(0, +) / Double(count)
    #expect(abs(mean - 0.5) < 5 * (1.0 / 12 / Double(count)).squareRoot())
    let square = numbers.reduce(0) { $0 + $1 * $1 } / Double(count)
    #expect(abs(square - 1.0 / 3) < 5 * (4.0 / 45 / Double(count)).squareRoot())
  }

  @Test(arguments: [1, 2, 3, 7, 1000])
  func indicesAreFair(_ bound: Int) {
    var sequence = RandomSequence(seed: 2, .shuffling, place: (0, 0))
    let count = 100 * bound
    var counts = [Double](repeating: 0, count: bound)
    for _ in 0..<count { counts[sequence.index(below: bound)] += 1 }
    let chi = counts.reduce(0) { $0 + ($1 - 100) * ($1 - 100) / 100 }
    let freedom = Double(bound - 1)
    #expect(abs(chi - freedom) <= 5 * (2 * freedom).squareRoot())
  }
}
