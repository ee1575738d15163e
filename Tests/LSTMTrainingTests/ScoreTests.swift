import Foundation
import LSTMKernels
import LSTMLayers
import LSTMTensors
import LSTMTestSupport
import Testing

@testable import LSTMTraining

@Suite struct ScoreTests {
  private typealias Choice = (predicted: Bool, actual: Bool)

  /// Precision, recall and F1 of one class against the others.
  private func scores(_ decisions: [Choice]) -> [String: Double] {
    let right = Double(decisions.filter { $0.predicted && $0.actual }.count)
    let (predicted, actual) = (decisions.filter(\.predicted).count, decisions.filter(\.actual).count)
    func ratio(_ a: Double, _ b: Int) -> Double { b == 0 ? 0 : a / Double(b) }
    return [
      "precision": ratio(right, predicted), "recall": ratio(right, actual), "f1": ratio(2 * right, predicted + actual),
    ]
  }

  /// Those of each class, averaged.
  private func expectScores(
    _ batches: Batches, _ classes: [[Choice]], loss: String, usesClasses: Bool = false
  ) throws {
    let support = classes.map { Double($0.filter(\.actual).count) }
    for name in ["precision", "recall", "f1"] {
      let each = classes.map { scores($0)[name]! }
      let micro = scores(classes.flatMap { $0 })[name]!
      let macro = each.reduce(0, +) / Double(each.count)
      let weighted = zip(each, support).reduce(0) { $0 + $1.0 * $1.1 } / support.reduce(0, +)
      for (average, expected) in [("macro", macro), ("micro", micro), ("weighted", weighted)] {
        try expect("'\(name)_\(average)'", batches, is: expected, loss: loss, classes: usesClasses)
      }
    }
  }

  @Test(arguments: [2, 5], [3, 1000]) func scoresOfClasses(_ width: Int, _ levels: Int) throws {
    let batches = Batches(width: width, levels: levels, seed: 6)
    func classes(_ actual: ((y: [Double], t: [Double], label: Int)) -> Int) -> [[Choice]] {
      (0..<width).map { i in batches.elements.map { Choice(argmax($0.y) == i, actual($0) == i) } }
    }
    let byLabel = classes { $0.label }
    try expectScores(batches, byLabel, loss: "'sparse_categorical_crossentropy'", usesClasses: true)
    try expectScores(batches, classes { argmax($0.t) }, loss: "'categorical_crossentropy'")
    if width == 2 {
      for (name, expected) in scores(byLabel[1]) {
        try expect("'\(name)'", batches, is: expected, loss: "'sparse_categorical_crossentropy'", classes: true)
      }
    }
  }

  /// Of many labels each is a class; of one there are two, yes and no.
  @Test(arguments: [1, 4], [0.5, 0.2]) func scoresOfLabels(_ width: Int, _ threshold: Double) throws {
    let batches = Batches(width: width, levels: 1000, seed: 7)
    let labels = (0..<width).map { j in batches.elements.map { Choice($0.y[j] > threshold, $0.t[j] == 1) } }
    let classes = width > 1 ? labels : [labels[0].map { Choice(!$0.predicted, !$0.actual) }, labels[0]]
    if threshold == 0.5 { try expectScores(batches, classes, loss: "'binary_crossentropy'") }
    for (name, expected) in scores(labels.flatMap { $0 }) {
      try expect("{'type': '\(name)', 'threshold': \(threshold)}", batches, is: expected)
    }
    try expect(
      "{'type': 'binary_accuracy', 'threshold': \(threshold)}", batches,
      is: batches.entryMean { ($0 > threshold) == ($1 == 1) ? 1 : 0 })
  }

  /// Hinge losses say no by -1 and decide at 0.
  @Test func decisionsOfHingeLosses() throws {
    for (name, expected) in [("accuracy", 0.75), ("binary_accuracy", 0.75), ("precision", 0.5), ("recall", 1)] {
      let metric = try metric("'\(name)'", loss: "'hinge'")
      withBatch([0.1, 0.2, -3, -0.1], [1, -1, 0, -1]) { metric.update($0) }
      #expect(metric.result == expected)
    }
  }

  @Test(arguments: [1, 2, 3, 9]) func topOfClasses(_ k: Int) throws {
    for levels in [3, 1000] {
      let batches = Batches(width: 6, levels: levels, seed: 8)
      func isAmong(_ y: [Double], _ label: Int) -> Double { y.filter { $0 > y[label] }.count < k ? 1 : 0 }
      let json = "{'type': 'top_k_accuracy', 'k': \(k)}"
      try expect(json, batches, is: batches.mean { y, t, _ in isAmong(y, argmax(t)) })
      let byLabel = batches.mean { y, _, label in isAmong(y, label) }
      try expect(json, batches, is: byLabel, loss: "'sparse_categorical_crossentropy'", classes: true)
    }
    let metric = try metric("'top_k_accuracy'", outputShape: Shape(2))
    withBatch([.nan, 1], [1, 0], width: 2) { metric.update($0) }
    #expect(metric.result == 0)
  }

  @Test func confusion() throws {
    let batches = Batches(width: 4, levels: 1000, seed: 9)
    for usesClasses in [false, true] {
      let loss = try loss(usesClasses ? "'sparse_categorical_crossentropy'" : "'categorical_crossentropy'")
      let matrix = try ConfusionMatrix.make(loss, outputWidth: 4)
      batches.forEach(classes: usesClasses) { matrix.update($0) }
      for actual in 0..<4 {
        for predicted in 0..<4 {
          let expected = batches.elements.filter {
            (usesClasses ? $0.label : argmax($0.t)) == actual && argmax($0.y) == predicted
          }.count
          #expect(matrix.values[4 * actual + predicted] == expected)
        }
      }
    }
    for (json, width) in [("'mse'", 1), ("'binary_crossentropy'", 2)] {
      #expect(
        spokenError { _ = try ConfusionMatrix.make(loss(json), outputWidth: width) }?.hasPrefix("unsupported") == true)
    }
  }
}
