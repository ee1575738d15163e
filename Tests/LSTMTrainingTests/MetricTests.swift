import Foundation
import LSTMKernels
import LSTMLayers
import LSTMTensors
import LSTMTestSupport
import Testing

@testable import LSTMTraining

/// keras.metrics.AUC by its definition: a confusion matrix for each of 200 thresholds.
private func auc(_ entries: [(y: Double, t: Bool)]) -> Double {
  let inner: [Double] = (1..<199).map { Double($0) / 199 }
  let thresholds = [-1e-7] + inner + [1 + 1e-7]
  let rates = thresholds.map { threshold -> (x: Double, y: Double) in
    let truePositives = entries.filter { $0.t && $0.y > threshold }.count
    let falsePositives = entries.filter { !$0.t && $0.y > threshold }.count
    let positives = entries.filter { $0.t }.count
    let negatives = entries.count - positives
    return (
      negatives == 0 ? 0 : Double(falsePositives) / Double(negatives),
      positives == 0 ? 0 : Double(truePositives) / Double(positives)
    )
  }
  return zip(rates, rates.dropFirst()).reduce(0) { area, next in
    area + (next.0.x - next.1.x) * (next.0.y + next.1.y) / 2
  }
}

@Suite struct MetricTests {
  @Test(arguments: [1, 3], [4, 1000]) func meansOverElements(_ width: Int, _ levels: Int) throws {
    let batches = Batches(width: width, levels: levels, seed: 1)
    try expect("'mse'", batches, is: batches.entryMean { ($0 - $1) * ($0 - $1) })
    try expect("'mean_squared_error'", batches, is: batches.entryMean { ($0 - $1) * ($0 - $1) })
    try expect("'mae'", batches, is: batches.entryMean { ($0 - $1).magnitude })
    try expect("'mean_absolute_error'", batches, is: batches.entryMean { ($0 - $1).magnitude })
    try expect("'binary_accuracy'", batches, is: batches.entryMean { ($0 > 0.5) == ($1 == 1) ? 1 : 0 })
  }

  @Test(arguments: [2, 3, 10], [3, 1000]) func accuracyOverClasses(_ width: Int, _ levels: Int) throws {
    let batches = Batches(width: width, levels: levels, seed: 2)
    try expect("'categorical_accuracy'", batches, is: batches.mean { y, t, _ in argmax(y) == argmax(t) ? 1 : 0 })
    try expect(
      "'sparse_categorical_accuracy'", batches, is: batches.mean { y, _, label in argmax(y) == label ? 1 : 0 },
      loss: "'sparse_categorical_crossentropy'", classes: true)
  }

  @Test func accuracyTakesTheFormThatFits() throws {
    let single = Batches(width: 1, levels: 1000, seed: 3)
    try expect("'accuracy'", single, is: single.entryMean { ($0 > 0.5) == ($1 == 1) ? 1 : 0 })
    let several = Batches(width: 4, levels: 1000, seed: 3)
    try expect("'accuracy'", several, is: several.mean { y, t, _ in argmax(y) == argmax(t) ? 1 : 0 })
    try expect(
      "'accuracy'", several, is: several.mean { y, _, label in argmax(y) == label ? 1 : 0 },
      loss: "'sparse_categorical_crossentropy'", classes: true)
  }

  @Test(arguments: [1, 3], [4, 1000]) func precisionAndRecall(_ width: Int, _ levels: Int) throws {
    let batches = Batches(width: width, levels: levels, seed: 4)
    let hits = Double(batches.entries.filter { $0.t && $0.y > 0.5 }.count)
    try expect("'precision'", batches, is: hits / Double(batches.entries.filter { $0.y > 0.5 }.count))
    try expect("'recall'", batches, is: hits / Double(batches.entries.filter { $0.t }.count))
  }

  // 64 and 1000 have no factor in common with 199, so no output but 0 and 1 falls on a threshold.
  @Test(arguments: [1, 3], [1, 2, 64, 1000]) func areaUnderTheCurve(_ width: Int, _ levels: Int) throws {
    let batches = Batches(width: width, levels: levels, seed: 5)
    try expect("'auc'", batches, is: auc(batches.entries))
  }

  @Test func areasKnownInAdvance() throws {
    for (outputs, targets, expected) in [
      ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 1), ([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0], 0),
      ([0.3, 0.3, 0.3, 0.3], [1, 0, 0, 1], 0.5), ([0.1, 0.9, 0.4, 0.6], [1, 1, 1, 1], 0),
      ([0.1, 0.9, 0.4, 0.6], [0, 0, 0, 0], 0), ([-5, 0, 1, 7], [0, 0, 1, 1], 1),
      // Above everything and NaN, which lies below everything: neither may reach past the thresholds.
      ([.infinity, -.infinity, .nan, 0], [1, 0, 0, 0], 1),
    ] as [([Float], [Float], Double)] {
      let metric = try metric("'auc'")
      withBatch(outputs, targets) { metric.update($0) }
      #expect(metric.result == expected)
    }
  }

  /// The mean of a loss, by the loss's own definition.
  @Test(arguments: [2, 5]) func losses(_ width: Int) throws {
    let batches = Batches(width: width, levels: 1000, seed: 10)
    for test in lossCases where test.blocks == 1 && !test.takesPairs {
      guard MetricRegistry.columns.contains(where: { $0.name.text == test.lossName }) else { continue }
      let isHinge = test.lossName.contains("hinge")
      let factor = test.lossName == "cosine_similarity" ? -1.0 : 1
      let expected = batches.mean { y, t, label in
        let t = test.usesClasses ? y.indices.map { $0 == label ? 1 : 0 } : t
        return factor * test.definition(y, isHinge ? t.map { max($0, 0) } : t)
      }
      let metric = try metric(
        test.json, loss: test.usesClasses ? "'sparse_categorical_crossentropy'" : "'mse'", outputShape: Shape(width))
      batches.update(metric, classes: test.usesClasses)
      // Keras clips a target of 0 to 1e-7 and divides by it: of such a mean not all digits are there in float32.
      #expect(isClose(metric.result, expected, 1e-6), "\(test.json): \(metric.result), expected \(expected)")
    }
    try expect("'rmse'", batches, is: batches.entryMean { ($0 - $1) * ($0 - $1) }.squareRoot())
  }

  @Test func perplexity() throws {
    let batches = Batches(width: 4, levels: 1000, seed: 11)
    func clip(_ p: Double) -> Double { min(max(p, Double(Float(1e-7))), Double(Float(1 - 1e-7))) }
    let ofProbabilities = exp(batches.mean { y, _, label in -log(clip(y[label] / y.reduce(0, +))) })
    let smoothed = "{'type': 'sparse_categorical_crossentropy', 'label_smoothing': 0.1}"
    for loss in ["'sparse_categorical_crossentropy'", smoothed] {
      let metric = try metric("'perplexity'", loss: loss, outputShape: Shape(4))
      batches.update(metric, classes: true)
      #expect(isClose(metric.result, ofProbabilities, 1e-9))
    }
    let ofLogits = exp(batches.mean { y, _, label in log(y.map(exp).reduce(0, +)) - y[label] })
    let loss = "{'type': 'sparse_categorical_crossentropy', 'from_logits': true}"
    let metric = try metric("'perplexity'", loss: loss, outputShape: Shape(4))
    batches.update(metric, classes: true)
    #expect(isClose(metric.result, ofLogits, 1e-6))
  }

  @Test(arguments: [1, 3]) func shareOfTheVariance(_ width: Int) throws {
    let batches = Batches(width: width, levels: 1000, seed: 12)
    let each = (0..<width).map { j -> Double in
      let mean = batches.mean { _, t, _ in t[j] }
      return 1 - batches.mean { y, t, _ in (y[j] - t[j]) * (y[j] - t[j]) }
        / batches.mean { _, t, _ in (t[j] - mean) * (t[j] - mean) }
    }
    try expect("'r2'", batches, is: each.reduce(0, +) / Double(width))
    // Of targets that do not vary, hit and missed; and far from 0, where squares of the targets would have lost the digits.
    for (outputs, targets, expected) in [
      ([3, 3], [3, 3], 1), ([3, 4], [3, 3], 0), ([1e6, 1e6 + 1, 1e6 + 3], [1e6, 1e6 + 1, 1e6 + 2], 0.5),
    ] as [([Float], [Float], Double)] {
      let metric = try metric("'r2'")
      withBatch(outputs, targets) { metric.update($0) }
      #expect(isClose(metric.result, expected, 1e-12))
    }
  }

  @Test func columns() throws {
    let better = ["accuracy", "precision", "recall", "f1", "auc", "r2", "bleu", "similarity"]
    for column in MetricRegistry.columns {
      let name = column.name.text
      let isBetter = better.contains { name.contains($0) }
      let loss = name.hasPrefix("sparse") ? "'sparse_categorical_crossentropy'" : "'categorical_crossentropy'"
      let metric = try metric("'\(name)'", loss: loss, outputShape: Shape(4, 3))
      #expect(metric.name.text == name && metric.valName.text == "val_" + name)
      #expect(metric.biggerIsBetter == isBetter, "\(name)")
      #expect(Metric.biggerIsBetter(name.utf8) == isBetter)
      #expect(Metric.biggerIsBetter(("val_" + name).utf8) == isBetter)
      #expect(text(metric.record).hasPrefix("\"type\": \"\(name)\""))
      // What it records makes the same metric again.
      let again = try LSTMTrainingTests.metric("{\(text(metric.record))}", loss: loss, outputShape: Shape(4, 3))
      #expect(text(again.record) == text(metric.record))
    }
    for name in ["loss", "val_loss", "", "val_", "accurac", "accuracy2"] {
      #expect(!Metric.biggerIsBetter(name.utf8))
    }
  }

  @Test func refusals() throws {
    let count = MetricRegistry.columns.count
    #expect(
      argumentError { _ = try metric("'acuracy'") }
        == "metrics[0]: expected accuracy, auc, or one of \(count - 2) others, got \"acuracy\"")
    #expect(
      argumentError { _ = try metric("'zeal'") } == "metrics[0]: expected one of \(count) others, got \"zeal\"")
    let sparse = "'sparse_categorical_crossentropy'"
    for (json, loss, shape, expected) in [
      ("{'type': 'auc', 'curve': 'PR'}", "'mse'", Shape(1), "unknown field \"curve\", expected type"),
      ("{'type': 'mse', 'delta': 1}", "'mse'", Shape(1), "unknown field \"delta\", expected type"),
      (
        "'sparse_categorical_accuracy'", "'categorical_crossentropy'", Shape(3),
        "expected another metric unless the targets of the loss are class indices, got \"sparse_categorical_accuracy\""
      ),
      (
        "'precision'", sparse, Shape(3),
        "expected one that ends in _macro, _micro or _weighted for 3 classes, got \"precision\""
      ),
      (
        "'perplexity'", "'mse'", Shape(3),
        "expected another metric unless the loss is one over classes, got \"perplexity\""
      ),
      ("'bleu'", "'mse'", Shape(4, 3), "expected another metric unless the loss is one over classes, got \"bleu\""),
      (
        "'edit_distance'", sparse, Shape(3),
        "expected another metric unless the model answers each timestep with the classes of a token, got "
          + "\"edit_distance\""
      ),
      (
        "'mse'", "{'type': 'contrastive', 'pairs': true}", Shape(2),
        "expected no metric for a loss of pairs, got \"mse\""
      ),
      (
        "'sparse_categorical_crossentropy'", "'categorical_crossentropy'", Shape(3),
        "expected a metric of the same targets as the loss, got \"sparse_categorical_crossentropy\""
      ),
    ] {
      #expect(argumentError { _ = try metric(json, loss: loss, outputShape: shape) } == "metrics[0]: " + expected)
    }
    #expect(
      argumentError { _ = try metric("{'type': 'top_k_accuracy', 'k': 0}", outputShape: Shape(3)) }
        == "metrics[0].k: expected a positive integer, got 0")
    #expect(
      argumentError { _ = try metric("{'type': 'bleu', 'end_token': 3}", loss: sparse, outputShape: Shape(4, 3)) }
        == "metrics[0].end_token: expected an integer from 0 to 2, got 3")
    for name in ["binary_accuracy", "categorical_accuracy", "auc", "r2"] {
      #expect(
        argumentError { _ = try metric("'\(name)'", loss: sparse, outputShape: Shape(3)) }
          == "metrics[0]: expected a metric of class indices, which the loss has as targets, got \"\(name)\"")
    }
    for name in ["mse", "mae"] {
      #expect(
        argumentError { _ = try metric("'\(name)'", loss: sparse, outputShape: Shape(3)) }
          == "metrics[0]: expected a metric of the same targets as the loss, got \"\(name)\"")
    }
  }
}
