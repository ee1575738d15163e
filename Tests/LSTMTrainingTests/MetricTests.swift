import LSTMKernels
import LSTMTensors
import LSTMTestSupport
import Testing

@testable import LSTMTraining

/// Batches of outputs in 0...1 and of targets of 0 and 1, with some elements masked that hold NaN.
private struct Batches {
  struct Batch {
    var outputs: [Float]
    var targets: [Float]
    var classes: [Int32]
    var mask: [Float]
  }

  let width: Int
  var all: [Batch] = []

  /// - Parameter levels: how many different outputs there are: few give ties.
  init(width: Int, levels: Int, seed: UInt64) {
    self.width = width
    var random = Generator(seed)
    for elements in [7, 1, 40, 0, 23] {
      let mask = (0..<elements).map { _ in Float.random(in: 0...1, using: &random) < 0.3 ? Float(0) : 1 }
      let outputs = (0..<elements * width).map { i -> Float in
        mask[i / width] == 0 ? .nan : Float(Int.random(in: 0...levels, using: &random)) / Float(levels)
      }
      let targets = (0..<elements * width).map { i -> Float in
        mask[i / width] == 0 ? .nan : Float(Int.random(in: 0...1, using: &random))
      }
      let classes = mask.map { $0 == 0 ? Int32.min : Int32.random(in: 0..<Int32(width), using: &random) }
      all.append(Batch(outputs: outputs, targets: targets, classes: classes, mask: mask))
    }
  }

  func update(_ metric: Metric, classes: Bool = false) {
    for batch in all {
      let (y, t, c) = (Numbers(batch.outputs), Numbers(batch.targets), Numbers(batch.classes))
      withExtendedLifetime((y, t, c)) {
        metric.update(
          outputs: y.start, targets: classes ? .classes(c.start) : .values(t.start), elements: batch.mask.count,
          width: width, mask: batch.mask)
      }
    }
  }

  /// Outputs, targets and label of each element that counts.
  var elements: [(y: [Double], t: [Double], label: Int)] {
    all.flatMap { batch in
      batch.mask.indices.filter { batch.mask[$0] != 0 }.map { element in
        let range = element * width..<(element + 1) * width
        return (
          batch.outputs[range].map { Double($0) }, batch.targets[range].map { Double($0) }, Int(batch.classes[element])
        )
      }
    }
  }

  /// Output and target of each entry that counts.
  var entries: [(y: Double, t: Bool)] { elements.flatMap { zip($0.y, $0.t).map { ($0, $1 != 0) } } }

  func mean(_ f: (_ y: [Double], _ t: [Double], _ label: Int) -> Double) -> Double {
    elements.map { f($0.y, $0.t, $0.label) }.reduce(0, +) / Double(elements.count)
  }

  func entryMean(_ f: (Double, Double) -> Double) -> Double {
    mean { y, t, _ in zip(y, t).map(f).reduce(0, +) / Double(width) }
  }
}

private func argmax(_ x: [Double]) -> Int { x.firstIndex(of: x.max()!)! }

/// keras.metrics.AUC by its definition: a confusion matrix for each of 200 thresholds.
private func auc(_ entries: [(y: Double, t: Bool)]) -> Double {
  let thresholds: [Double] = [-1e-7] + (1..<199).map { Double($0) / 199 } + [1 + 1e-7]
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
  private func expect(
    _ json: String, _ batches: Batches, is expected: Double, loss: String = "'mse'", classes: Bool = false,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let metric = try metric(json, loss: loss, outputWidth: batches.width)
    #expect(metric.result == 0, sourceLocation: sourceLocation)
    for _ in 0..<2 {
      batches.update(metric, classes: classes)
      let result = metric.result
      #expect(isClose(result, expected, 1e-12), "\(result), expected \(expected)", sourceLocation: sourceLocation)
      metric.reset()
      #expect(metric.result == 0, sourceLocation: sourceLocation)
    }
  }

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
      let t = Numbers(targets)
      withExtendedLifetime(t) {
        metric.update(outputs: outputs, targets: .values(t.start), elements: 4, width: 1, mask: [1, 1, 1, 1])
      }
      #expect(metric.result == expected)
    }
  }

  @Test func columns() throws {
    for (name, isBetter) in [
      ("accuracy", true), ("binary_accuracy", true), ("categorical_accuracy", true), ("precision", true),
      ("recall", true), ("auc", true), ("mse", false), ("mae", false), ("mean_squared_error", false),
      ("mean_absolute_error", false),
    ] {
      let metric = try metric("'\(name)'", outputWidth: 3)
      #expect(metric.name.text == name && metric.valName.text == "val_" + name)
      #expect(metric.biggerIsBetter == isBetter)
      #expect(Metric.biggerIsBetter(name.utf8) == isBetter)
      #expect(Metric.biggerIsBetter(("val_" + name).utf8) == isBetter)
      #expect(text(metric.record) == "\"type\": \"\(name)\"")
    }
    let sparse = try metric("'sparse_categorical_accuracy'", loss: "'sparse_categorical_crossentropy'", outputWidth: 3)
    #expect(
      sparse.name.text == "sparse_categorical_accuracy" && sparse.valName.text == "val_sparse_categorical_accuracy")
    #expect(Metric.biggerIsBetter("val_sparse_categorical_accuracy".utf8))
    for name in ["loss", "val_loss", "", "val_", "accurac", "accuracy2"] {
      #expect(!Metric.biggerIsBetter(name.utf8))
    }
  }

  @Test func refusals() {
    #expect(
      argumentError { _ = try metric("'acuracy'") }
        == "metrics[0]: expected accuracy, binary_accuracy, categorical_accuracy, sparse_categorical_accuracy, mse, "
        + "mae, precision, recall, auc, mean_squared_error or mean_absolute_error, got \"acuracy\"")
    #expect(
      argumentError { _ = try metric("{'type': 'auc', 'curve': 'PR'}") }
        == "metrics[0]: unknown field \"curve\", expected type")
    #expect(
      argumentError {
        _ = try metric("'sparse_categorical_accuracy'", loss: "'categorical_crossentropy'", outputWidth: 3)
      }
        == "metrics[0]: expected another metric unless the loss is sparse_categorical_crossentropy, "
        + "got \"sparse_categorical_accuracy\"")
    for name in ["binary_accuracy", "categorical_accuracy", "mse", "mae", "precision", "recall", "auc"] {
      #expect(
        argumentError { _ = try metric("'\(name)'", loss: "'sparse_categorical_crossentropy'", outputWidth: 3) }
          == "metrics[0]: expected accuracy or sparse_categorical_accuracy, because targets are class indices, "
          + "got \"\(name)\"")
    }
  }
}
