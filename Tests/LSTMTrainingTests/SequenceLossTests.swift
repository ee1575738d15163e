import Foundation
import LSTMKernels
import LSTMLayers
import LSTMModels
import LSTMTensors
import LSTMTestSupport
import Testing

@testable import LSTMTraining

/// The losses of whole rows, which `LossCase` has no element of.
let sequenceLosses = ["ctc", "crf"]

/// One row: outputs `[steps, width]`, one behind the other or with strange numbers between them.
private struct Row {
  let width: Int
  var outputs: [Float]
  let labels: [Int32]
  var gap = 1

  var steps: Int { outputs.count / width }

  /// The loss, and its gradient if that is asked for.
  func evaluate(
    _ loss: SequenceLoss, _ kernels: Kernels, fromLogits: Bool = false, weight: Double = 1, withGradient: Bool = true
  ) throws -> (loss: Double, gradient: [Float]) {
    var spread = [Float](repeating: .nan, count: steps * gap * width)
    for t in 0..<steps { spread.replaceSubrange(t * gap * width..<(t * gap + 1) * width, with: outputs(t)) }
    let (y, places, l) = (Numbers(spread), Numbers((0..<steps).map { $0 * gap }), Numbers(labels))
    let gradient = Numbers([Float](repeating: .nan, count: spread.count))
    let memory = try Buffer.make(
      .system, loss.memoryCount(steps: steps, labels: labels.count, width: width), of: Float.self)
    memory.floats.update(repeating: .nan, count: memory.byteCount / 4)
    let row = SequenceRow(
      outputs: y.start, places: places.start, steps: steps, width: width, labels: l.start, labelCount: labels.count,
      chain: nil,
      weight: weight, gradient: withGradient ? gradient.start : nil,
      areLogits: fromLogits || loss.traits.readsLogits, kernels: kernels, memory: memory.floats)
    let value = withExtendedLifetime((y, places, l, memory)) { loss.evaluate(row) }
    return (value, (0..<steps).flatMap { t in gradient.values[t * gap * width..<(t * gap + 1) * width] })
  }

  func outputs(_ t: Int) -> ArraySlice<Float> { outputs[t * width..<(t + 1) * width] }
}

private func rowLoss(_ json: String) throws -> SequenceLoss { try #require(try loss(json) as? SequenceLoss) }

private func softmax(_ z: some Sequence<Double>) -> [Double] {
  let most = z.max() ?? 0
  let e = z.map { exp($0 - most) }
  return e.map { $0 / e.reduce(0, +) }
}

/// -ln of the sum over all paths whose labels are these, by going through all of them.
private func ctcByPaths(_ p: [[Double]], _ labels: [Int32], blank: Int) -> Double {
  let width = p[0].count
  var total = 0.0
  for number in 0..<Int(pow(Double(width), Double(p.count))) {
    var (rest, path, product) = (number, [Int](), 1.0)
    for t in 0..<p.count {
      path.append(rest % width)
      product *= p[t][rest % width]
      rest /= width
    }
    let kept = path.enumerated().filter { $0 == 0 || path[$0 - 1] != $1 }.map(\.1).filter { $0 != blank }
    if kept == labels.map(Int.init) { total += product }
  }
  return -log(total)
}

@Suite struct CTCLossTests {
  static let labels: [[Int32]] = [[], [1], [2, 1], [1, 1], [2, 2, 1], [1, 2, 1], [2, 2]]

  @Test(arguments: labels, [4, 5]) func valueAndGradientAreThoseOfAllPaths(_ labels: [Int32], _ steps: Int) throws {
    var random = Generator(UInt64(7 + steps))
    for (blank, names) in [(0, [0, 1, 2]), (1, [1, 0, 2]), (2, [2, 0, 1])] {
      let row = Row(
        width: 3, outputs: random.floats(3 * steps, in: -3...3), labels: labels.map { Int32(names[Int($0)]) },
        gap: 1 + blank)
      func definition(_ y: [Float], moving j: Int = 0, by step: Double = 0) -> Double {
        var z = y.map(Double.init)
        z[j] += step
        return ctcByPaths((0..<steps).map { softmax(z[3 * $0..<3 * $0 + 3]) }, row.labels, blank: blank)
      }
      let loss = try rowLoss("{'type': 'ctc', 'blank': \(blank)}")
      for kernels in kernelSets() {
        let (value, gradient) = try row.evaluate(loss, kernels, weight: 1.5)
        #expect(isClose(value, definition(row.outputs), 2e-7), "\(value), expected \(definition(row.outputs))")
        #expect(try row.evaluate(loss, kernels, withGradient: false).loss == value)
        for j in 0..<row.outputs.count {
          let step = 1e-5
          let slope =
            (definition(row.outputs, moving: j, by: step) - definition(row.outputs, moving: j, by: -step)) / (2 * step)
          #expect(isClose(Double(gradient[j]), 1.5 * slope, 1e-6), "\(j): \(gradient[j]), expected \(1.5 * slope)")
        }
      }
    }
  }

  @Test(arguments: labels) func probabilitiesAreDividedByTheirSum(_ labels: [Int32]) throws {
    var random = Generator(5)
    let row = Row(width: 3, outputs: random.floats(15, in: 0.1...2), labels: labels)
    func definition(moving j: Int = 0, by step: Double = 0) -> Double {
      var y = row.outputs.map(Double.init)
      y[j] += step
      let p = (0..<5).map { t in y[3 * t..<3 * t + 3].map { $0 / y[3 * t..<3 * t + 3].reduce(0, +) } }
      return ctcByPaths(p, labels, blank: 0)
    }
    let loss = try rowLoss("{'type': 'ctc', 'from_logits': false}")
    let (value, gradient) = try row.evaluate(loss, fastestKernels)
    #expect(isClose(value, definition(), 1e-9))
    for j in 0..<row.outputs.count {
      let slope = (definition(moving: j, by: 1e-5) - definition(moving: j, by: -1e-5)) / 2e-5
      #expect(isClose(Double(gradient[j]), slope, 1e-6))
    }
    // Of a softmax the logits are used, and without a word outputs are logits.
    let logits = row.outputs.map { log($0) }
    for json in ["'ctc'", "{'type': 'ctc', 'from_logits': true}"] {
      let same = try Row(width: 3, outputs: logits, labels: labels).evaluate(try rowLoss(json), fastestKernels)
      #expect(isClose(same.loss, value, 1e-6))
    }
    #expect(
      try isClose(
        Row(width: 3, outputs: logits, labels: labels).evaluate(
          loss, fastestKernels, fromLogits: true
        ).loss, value, 1e-6))
  }

  /// Each step has probability 1/2 for either class: the loss is known for any length.
  @Test func longRowsNeitherOverflowNorVanish() throws {
    let steps = 5000
    let loss = try rowLoss("'ctc'")
    let none = try Row(width: 2, outputs: [Float](repeating: 3, count: 2 * steps), labels: []).evaluate(
      loss, fastestKernels)
    #expect(isClose(none.loss, Double(steps) * log(2), 1e-12))
    // One label: all runs of one class 1, of steps · (steps + 1) / 2 places.
    let one = try Row(width: 2, outputs: [Float](repeating: 3, count: 2 * steps), labels: [1]).evaluate(
      loss, fastestKernels)
    #expect(isClose(one.loss, Double(steps) * log(2) - log(Double(steps) * Double(steps + 1) / 2), 1e-10))
    #expect(one.gradient.allSatisfy { $0.isFinite })
  }

  @Test func logitsOfThousands() throws {
    let loss = try rowLoss("'ctc'")
    // Blank is certain, label 1 all but impossible, in both steps: one of them must have it, and two may.
    let wrong = try Row(width: 2, outputs: [2000, -2000, 2000, -2000], labels: [1]).evaluate(loss, fastestKernels)
    #expect(isClose(wrong.loss, 4000 - log(2), 1e-12))
    #expect(zip(wrong.gradient, [0.5, -0.5, 0.5, -0.5]).allSatisfy { abs($0 - $1) < 1e-6 })
    let right = try Row(width: 2, outputs: [-2000, 2000, 2000, -2000], labels: [1]).evaluate(loss, fastestKernels)
    #expect(right.loss == 0 && right.gradient == [0, 0, 0, 0])
    // What is lacking of 1 is the path of two blanks.
    let small = try Row(width: 2, outputs: [0, 10, 10, 0], labels: [1]).evaluate(loss, fastestKernels)
    let ratio = exp(Double(-10))
    let lacking = ratio / ((1 + ratio) * (1 + ratio))
    #expect((small.loss / -log1p(-lacking) - 1).magnitude < 1e-6)
    for extreme in [Float(3e38), 1e30] {
      let result = try Row(width: 2, outputs: [extreme, -extreme], labels: [1]).evaluate(loss, fastestKernels)
      #expect(result.loss.isFinite && result.gradient == [1, -1])
    }
  }

  @Test func whatIsNoNumberShows() throws {
    for (json, bad) in [
      ("'ctc'", Float.nan), ("'ctc'", .infinity), ("{'type': 'ctc', 'from_logits': false}", .nan),
      ("{'type': 'ctc', 'from_logits': false}", .infinity),
    ] {
      for place in 0..<6 {
        var outputs: [Float] = [0.2, 0.7, 0.1, 0.3, 0.3, 0.4]
        outputs[place] = bad
        #expect(try Row(width: 3, outputs: outputs, labels: [1]).evaluate(try rowLoss(json), fastestKernels).loss.isNaN)
      }
    }
  }

  @Test func impossibleRowsHaveNoLoss() throws {
    let loss = try rowLoss("{'type': 'ctc', 'zero_infinity': true}")
    for labels in [[1, 1], [1, 2, 1], [2, 2, 2]] as [[Int32]] {
      let result = try Row(width: 3, outputs: [1, 2, 3, 4, 5, 6], labels: labels).evaluate(loss, fastestKernels)
      #expect(result.loss == 0 && result.gradient == [Float](repeating: 0, count: 6))
    }
  }
}

/// What holds for training with every loss of rows.
@Suite struct SequenceLossPropertyTests {
  private static let extents = Extents.wide

  private func model(
    _ loss: String, metrics: String = "'edit_distance'", extra: String = "", rate: Double = 0.001
  ) throws -> Model {
    let example = Example(
      "lstm", .series,
      "{'type': 'lstm', 'units': units, 'return_sequences': true, 'dropout': 0.1}, {'type': 'dense', 'units': 4\(extra)}"
    )
    return try example.model(
      Self.extents,
      training: "{'loss': \(loss), 'optimizer': {'type': 'adam', 'learning_rate': \(rate)}, 'metrics': [\(metrics)]}")
  }

  private func data(_ model: Model, _ padding: Padding, fill: Float = 0) -> TrainingData {
    var random = Generator(31)
    let (rows, steps) = (Self.extents.batch, Self.extents.steps)
    let y = (0..<rows).flatMap { row -> [Float] in
      let valid = (0..<steps).filter { padding.isValid(row: row, of: rows, step: $0, of: steps) }.count
      let labels = random.integers(min(2, (valid + 1) / 2), in: 1..<4).map { Float($0) }
      return labels + [Float](repeating: valid == 0 ? .nan : fill, count: 2 - labels.count)
    }
    return TrainingData(
      Sample.make(for: model, rows: rows, steps: steps, padding: padding), Sample.numbers(y, Shape(rows, 2)),
      weights: random.floats(rows, in: 0...2))
  }

  private func trained(
    _ padding: Padding, threads: Int = 1, fill: Float = 0
  ) throws -> (weights: [UInt32], figures: [UInt64]) {
    let model = try model("'ctc'")
    let history = try fit(model, data(model, padding, fill: fill), epochs: 2) {
      ($0.threads, $0.batchSize) = (threads, 13)
    }
    #expect(history.epochs.joined().allSatisfy { $0.value.isFinite })
    return (bits(model.weights), bits(history.epochs.flatMap { $0.map(\.value) }))
  }

  @Test(arguments: Padding.allCases) func threadsAndPaddingDecideNoBit(_ padding: Padding) throws {
    let alone = try trained(padding)
    #expect(bits(try model("'ctc'").weights) != alone.weights)
    for (threads, fill) in [(3, Float(-1)), (1, -1), (8, 0)] {
      let other = try trained(padding, threads: threads, fill: fill)
      #expect(other.weights == alone.weights && other.figures == alone.figures, "\(threads) threads, \(fill)")
    }
  }

  @Test func savedTrainingGoesOn() throws {
    let whole = try model("'ctc'")
    let data = data(whole, .gaps)
    _ = try fit(whole, data, epochs: 3)
    let first = try model("'ctc'")
    _ = try fit(first, data, epochs: 1)
    let resumed = try loadModel(try first.saved())
    _ = try fit(resumed, data, epochs: 2)
    #expect(try resumed.saved() == whole.saved())
  }

  /// A chain's tags: the bits of one thread, whatever stands over padding, and of rows on their own.
  @Test(arguments: Padding.allCases, ["tags", "probabilities"])
  func tagsOverPaddingAreNeverRead(_ padding: Padding, _ output: String) throws {
    let (rows, steps) = (Self.extents.batch, Self.extents.steps)
    func trained(_ fill: Float, threads: Int) throws -> (weights: [UInt32], figures: [UInt64]) {
      let model = try model(
        "'crf'", metrics: "'accuracy', 'edit_distance'", extra: "}, {'type': 'crf', 'units': 4, 'output': '\(output)'")
      var random = Generator(12)
      let y = (0..<rows * steps).map { place -> Float in
        let tag = Float(Int.random(in: 0..<4, using: &random))
        return padding.isValid(row: place / steps, of: rows, step: place % steps, of: steps) ? tag : fill
      }
      let data = TrainingData(
        Sample.make(for: model, rows: rows, steps: steps, padding: padding), Sample.numbers(y, Shape(rows, steps)),
        weights: random.floats(rows, in: 0...2))
      let history = try fit(model, data, epochs: 2) { ($0.threads, $0.batchSize) = (threads, 13) }
      let columns = try Evaluation.evaluate(model, data.examples, batchSize: 13, threads: threads)
      let apart = try Evaluation.evaluate(model, data.examples, batchSize: 1, threads: threads)
      // Rows of nothing but padding do not count in a batch, and as batches of their own are means of nothing.
      let counted = (0..<rows).filter { row in
        (0..<steps).contains { padding.isValid(row: row, of: rows, step: $0, of: steps) }
      }.count
      #expect(isClose(apart.values[0] * Double(rows), columns.values[0] * Double(counted), 1e-6))
      return (bits(model.weights), bits(history.epochs.flatMap { $0.map(\.value) }))
    }
    let alone = try trained(.nan, threads: 1)
    for (fill, threads) in [(Float(7e37), 3), (-1, 8)] {
      let other = try trained(fill, threads: threads)
      #expect(other.weights == alone.weights && other.figures == alone.figures, "\(fill), \(threads) threads")
    }
  }

  @Test func trainingFallsAndAnswersComeNear() throws {
    let model = try model("'ctc'", metrics: "'edit_distance', 'token_error_rate', 'bleu'", rate: 0.02)
    let history = try fit(model, data(model, .none), epochs: 150) { $0.threads = 1 }
    let (losses, distances) = (history.column("loss"), history.column("edit_distance"))
    #expect(losses.last! < 0.2 * losses[0])
    #expect(distances.last! < 0.3 && distances[0] > 0.7)
    #expect(isClose(history.column("token_error_rate").last!, distances.last! / 2, 1e-12))
  }

  @Test func whatALossOfLabelsRefuses() throws {
    for (loss, extra, expected) in [
      ("{'type': 'ctc', 'blank': 4}", "", "training.loss: expected a model of at least 5 outputs, got 4"),
      ("{'type': 'ctc', 'blank': -1}", "", "training.loss.blank: expected an integer from 0 to 2147483646, got -1"),
      ("{'type': 'ctc', 'from_logits': 3}", "", "training.loss.from_logits: expected true, false or null, got 3"),
      (
        "'ctc'", "}, {'type': 'lstm', 'units': 5",
        "training.loss: expected a model of outputs for each timestep, (timesteps, classes), got (5,)"
      ),
    ] { #expect(argumentError { try model(loss, metrics: "", extra: extra) } == expected) }
    for metric in ["accuracy", "mse", "perplexity", "f1_macro", "auc"] {
      let error = argumentError { try model("'ctc'", metrics: "'\(metric)'") }
      #expect(error?.hasPrefix("training.metrics[0]: expected ") == true, "\(metric): \(error ?? "none")")
    }
    let made = try model("'ctc'")
    let x = Sample.make(for: made, rows: 2, steps: 3)
    for (labels, shape, expected) in [
      ([1, 2, 4, 1], Shape(2, 2), "[1, 0]: expected a class from 0 to 3 but 0, the blank, got 4"),
      ([1, 2, 1.5, 1], Shape(2, 2), "[1, 0]: expected a class from 0 to 3 but 0, the blank, got 1.5"),
      ([1, 2, 0, 1], Shape(2, 2), "[1, 1]: expected padding (0, the blank, or -1) after padding, got 1"),
      (
        [1, 1, 2, 3, 3, 2], Shape(2, 3),
        "[0]: expected labels for which 3 timesteps are enough, got 3, of which 1 repeat the one before"
          + " (zero_infinity passes over such rows)"
      ),
      ([1, 2], Shape(2), ".shape: expected (2, 2, 1) (a last axis of 1 may be left out), got (2,)"),
    ] as [([Float], Shape, String)] {
      let data = TrainingData(x, Sample.numbers(labels, shape))
      #expect(argumentError { try fit(made, data, epochs: 1) } == "x" + expected)
    }
    let y = Sample.numbers([1, 2, 3, 1], Shape(2, 2))
    #expect(
      argumentError { try fit(made, TrainingData(x, y, classWeights: [1, 2, 3, 4]), epochs: 1) }
        == "class_weights: expected none with a loss of whole sequences, got some")
    let each = Sample.numbers([1, 1, 1, 1, 1, 1], Shape(2, 3))
    #expect(
      argumentError { try fit(made, TrainingData(x, y, weights: each), epochs: 1) }
        == "x.shape: expected (2,), got (2, 3)")
    _ = try fit(made, TrainingData(x, y), epochs: 1)
  }
}
