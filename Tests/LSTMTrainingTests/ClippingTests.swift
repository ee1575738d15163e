import LSTMKernels
import LSTMTestSupport
import Testing

@testable import LSTMTraining

@Suite struct ClippingTests {
  /// Clips two gradients and gives back whether they were finite, and what they are then.
  private func clip(
    _ options: String, _ a: [Float], _ b: [Float], _ kernels: Kernels
  ) throws -> (finite: Bool, a: [Float], b: [Float]) {
    let optimizer = try optimizer("{'type': 'sgd'\(options)}")
    let numbers = [Numbers(a), Numbers(b)]
    let sums = numbers.map { kernels.sumOfSquares($0.count, $0.start) }
    let total = sums.reduce(0, +)
    for (number, sum) in zip(numbers, sums) where total.isFinite {
      Gradient(values: number.start, count: number.count)
        .clip(optimizer.clipping, total: total, parameter: sum, kernels)
    }
    return (total.isFinite, numbers[0].values, numbers[1].values)
  }

  private let a: [Float] = [3, -4]
  private let b: [Float] = [0.6, 0, -0.8]

  @Test func limits() throws {
    for kernels in kernelSets() {
      for (options, expectedA, expectedB) in [
        ("", a, b),
        (", 'clipvalue': 0.7", [0.7, -0.7], [0.6, 0, -0.7]),
        // Norms 5 and 1.
        (", 'clipnorm': 2", [1.2, -1.6], b), (", 'clipnorm': 0.5", [0.3, -0.4], [0.3, 0, -0.4]),
        (", 'clipnorm': 5", a, b), (", 'clipnorm': 100", a, b),
        // Norm √26 of all.
        (", 'global_clipnorm': 6", a, b),
        (", 'global_clipnorm': 2.5495097567963922", [1.5, -2], [0.3, 0, -0.4]),
      ] as [(String, [Float], [Float])] {
        let result = try clip(options, a, b, kernels)
        #expect(result.finite)
        let pairs = zip(result.a + result.b, expectedA + expectedB)
        #expect(pairs.allSatisfy { isClose(Double($0), Double($1), 2e-7) }, "\(options): \(result)")
      }
    }
  }

  @Test func gradientsWithinTheLimitKeepTheirBits() throws {
    let odd: [Float] = [0.1, 1 / 3, -2.7182817]
    for kernels in kernelSets() {
      for options in ["", ", 'clipvalue': 3", ", 'clipnorm': 3", ", 'global_clipnorm': 30"] {
        #expect(try clip(options, a.map { $0 / 7 }, odd, kernels).b == odd)
      }
    }
  }

  @Test(arguments: [.nan, .infinity, -.infinity] as [Float]) func notFinite(_ bad: Float) throws {
    for kernels in kernelSets() {
      for options in ["", ", 'clipvalue': 0.5", ", 'clipnorm': 0.5", ", 'global_clipnorm': 0.5"] {
        let result = try clip(options, a, [1, bad, 2], kernels)
        #expect(!result.finite && result.a == a && result.b[0] == 1 && result.b[2] == 2)
      }
    }
  }

  @Test func hugeGradientsAreClippedAndNotRefused() throws {
    for kernels in kernelSets() {
      let result = try clip(", 'global_clipnorm': 1", [3e38, 0], [0, 0, 0], kernels)
      #expect(result.finite && isClose(Double(result.a[0]), 1, 2e-7))
    }
  }
}
