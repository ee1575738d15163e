import Foundation
import LSTMKernels
import LSTMLayers
import LSTMTensors
import LSTMTestSupport
import Testing

@testable import LSTMTraining

@Suite struct SequenceMetricTests {
  /// The figure for answers and references, `[sequences, steps]` of tokens below 10; a token below 0 is padding.
  private func sequenceFigure(_ json: String, _ answers: [[Int]], _ references: [[Int]]) throws -> Double {
    func make() throws -> Metric {
      try metric(json, loss: "'sparse_categorical_crossentropy'", outputShape: Shape(Shape.any, 10))
    }
    var current = try make()
    // Some batches of rows of one length, time first, each by another metric that goes on.
    for rows in [0..<answers.count / 2, answers.count / 2..<answers.count] where !rows.isEmpty {
      let steps = answers[rows.lowerBound].count
      let places = (0..<steps).flatMap { step in rows.map { ($0, step) } }
      let next = try make()
      current.handOver(to: next)
      current = next
      try current.prepare(steps: steps)
      let outputs = places.flatMap { (row, step) -> [Float] in
        let token = answers[row][step]
        return (0..<10).map { token < 0 ? .nan : $0 == token ? 0.7 : 0.1 }
      }
      withBatch(
        outputs, [], classes: places.map { Int32(references[$0][$1]) },
        mask: places.map { answers[$0][$1] < 0 ? 0 : 1 }, width: 10,
        layout: Signal(values: MutableFloats(bitPattern: 64)!, steps: steps, batch: rows.count, width: 10)
      ) { current.update($0) }
    }
    return current.result
  }

  /// By recursion over the definition.
  private func levenshtein(_ a: ArraySlice<Int>, _ b: ArraySlice<Int>) -> Int {
    guard let x = a.first, let y = b.first else { return max(a.count, b.count) }
    if x == y { return levenshtein(a.dropFirst(), b.dropFirst()) }
    return 1
      + min(
        levenshtein(a.dropFirst(), b), levenshtein(a, b.dropFirst()), levenshtein(a.dropFirst(), b.dropFirst()))
  }

  @Test func distances() throws {
    var random = Generator(13)
    for alphabet in [2, 4] {
      let answers = (0..<8).map { _ in random.integers(6, in: 0..<alphabet) }
      let references = (0..<8).map { _ in random.integers(6, in: 0..<alphabet) }
      let total = Double(zip(answers, references).map { levenshtein($0[...], $1[...]) }.reduce(0, +))
      #expect(try sequenceFigure("'edit_distance'", answers, references) == total / 8)
      #expect(try sequenceFigure("'token_error_rate'", answers, references) == total / 48)
    }
    for (answer, reference, end, expected) in [
      ([1, 2, 3, 4], [2, 3, 4, 5], nil, 2), ([1, 2, 9, 4], [1, 2, 9, 7], 9, 0), ([9, 2, 9, 4], [1, 2, 9, 7], 9, 2),
      ([1, 1, 1, 1], [9, 2, 3, 4], 9, 4), ([1, -1, 2, -1], [1, -1, 2, -1], nil, 0), ([-1, -1], [-1, -1], nil, 0),
    ] as [([Int], [Int], Int?, Double)] {
      let json = "{'type': 'edit_distance', 'end_token': \(end.map { "\($0)" } ?? "null")}"
      #expect(try sequenceFigure(json, [answer], [reference]) == expected)
    }
    // A row of padding alone is no sequence.
    #expect(try sequenceFigure("'edit_distance'", [[-1, -1], [1, 2]], [[-1, -1], [2, 1]]) == 2)
  }

  @Test func bleuOfKnownTexts() throws {
    let text = [1, 2, 3, 4, 5, 6]
    #expect(try isClose(sequenceFigure("'bleu'", [text], [text]), 1, 1e-12))
    #expect(try sequenceFigure("'bleu'", [[1, 2, 3, 9, 1, 2]], [text]) == 0)
    // 5 of 6 tokens, 4 of 5 pairs, 3 of 4 triples, 2 of 3 runs of four.
    let shares = (5.0 / 6) * (4.0 / 5) * (3.0 / 4) * (2.0 / 3)
    #expect(try isClose(sequenceFigure("'bleu'", [[1, 2, 3, 4, 5, 9]], [text]), pow(shares, 0.25), 1e-12))
    // A run counts as often as the reference has it: 4 of 6, 3 of 5, 2 of 4, 1 of 3.
    let clipped = (4.0 / 6) * (3.0 / 5) * (2.0 / 4) * (1.0 / 3)
    #expect(
      try isClose(sequenceFigure("'bleu'", [[1, 1, 1, 1, 1, 1]], [[1, 1, 1, 1, 2, 3]]), pow(clipped, 0.25), 1e-12))
    // Answers of 4 tokens for a reference of 6.
    let short = try sequenceFigure("{'type': 'bleu', 'end_token': 9}", [[1, 2, 3, 4, 9, 9]], [text])
    #expect(isClose(short, exp(1 - 6.0 / 4), 1e-12))
  }
}
