internal import LSTMDescription
internal import LSTMKernels
internal import LSTMLayers
internal import LSTMModels
public import LSTMTensors

/// Samples with their targets and weights, as the caller holds them.
public struct Examples {
  let x: ArrayView
  let y: ArrayView
  /// `[samples]` numbers of at least 0.
  let weights: ArrayView?
  /// One weight for each label.
  let classWeights: UnsafeBufferPointer<Double>?

  public init(x: ArrayView, y: ArrayView, weights: ArrayView?, classWeights: UnsafeBufferPointer<Double>? = nil) {
    (self.x, self.y, self.weights, self.classWeights) = (x, y, weights, classWeights)
  }

  var count: Int { x.rows }

  func slice(_ range: Range<Int>, withClassWeights: Bool) -> Examples {
    Examples(
      x: x.slice(range), y: y.slice(range), weights: weights?.slice(range),
      classWeights: withClassWeights ? classWeights : nil)
  }
}

/// Reads batches of examples: inputs into a run, targets and weights into memory of its own, time first like the outputs.
final class ExampleReader {
  private let examples: Examples
  private let feed: Feed
  private let loss: Loss
  private let lastExtent: Int
  private let hasTime: Bool
  private var memory: Buffer?

  /// An element is what has a loss of its own: the numbers of the last axis.
  private(set) var elements = 0
  private var targetCount = 0

  private init(_ examples: Examples, _ feed: Feed, _ loss: Loss, _ output: Shape) {
    (self.examples, self.feed, self.loss) = (examples, feed, loss)
    (lastExtent, hasTime) = (output.last, output.rank > 1)
  }

  static func make(_ model: Model, _ examples: Examples, _ loss: Loss) throws(LSTMError) -> ExampleReader {
    let (x, y) = (examples.x, examples.y)
    let feed = try Feed(model, x, sameSteps: model.outputHasTime)
    if x.rows == 0 { throw .argument("\(x.name).shape: expected at least one sample, got \(x.shape.text)") }
    guard y.element != .string else { throw .type("\(y.name).type: expected numbers, got string") }
    let output = try feed.outputShape()
    guard fits(y.shape, output, classes: loss.usesClasses) else {
      var expected = output
      if loss.usesClasses { expected = expected.replacingLast(1) }
      throw .argument(
        "\(y.name).shape: expected \(expected.text) (a last axis of 1 may be left out), got \(y.shape.text)")
    }
    try check(examples.weights, samples: x.rows)
    return ExampleReader(examples, feed, loss, model.outputShape)
  }

  /// Whether targets of this shape are those of such an output.
  private static func fits(_ y: Shape, _ output: Shape, classes: Bool) -> Bool {
    let last = classes ? 1 : output.last
    if y == output.replacingLast(last) { return true }
    guard last == 1, y.rank == output.rank - 1 else { return false }
    for axis in 0..<y.rank where y[axis] != output[axis] { return false }
    return true
  }

  private static func check(_ weights: ArrayView?, samples: Int) throws(LSTMError) {
    guard let weights else { return }
    guard weights.element != .string else { throw .type("\(weights.name).type: expected numbers, got string") }
    guard weights.shape == Shape(samples) || weights.shape == Shape(samples, 1) else {
      throw .argument("\(weights.name).shape: expected (\(samples),), got \(weights.shape.text)")
    }
    for row in 0..<samples {
      let weight = weights.number(row: row, offset: 0)
      guard weight >= 0, Float(weight).isFinite else {
        throw .argument("\(weights.name)[\(row)]: expected a finite number of at least 0, got \(weight)")
      }
    }
  }

  /// Fills the run with the inputs of some rows, without steps that are padding in all of them.
  func loadInputs(_ rows: Rows, into run: Run) throws(LSTMError) {
    try feed.load(rows, into: run, requiresFinite: true)
    run.trim()
  }

  // Memory: targets (numbers, or class indices of the same size), weights of the loss, mask of the metrics.
  private var base: MutableFloats { memory?.floats ?? MutableFloats(bitPattern: 64)! }
  private var targetValues: MutableFloats { base }
  private var targetClasses: UnsafeMutablePointer<Int32> {
    UnsafeMutableRawPointer(base).assumingMemoryBound(to: Int32.self)
  }
  var lossWeights: MutableFloats { base + targetCount }
  var mask: MutableFloats { lossWeights + elements }
  /// For the loss: a row of outputs.
  var scratch: MutableFloats { mask + elements }

  var targets: Targets {
    loss.usesClasses ? .classes(UnsafePointer(targetClasses)) : .values(Floats(targetValues))
  }

  /// Reads the targets and weights of some rows, for outputs like this one.
  ///
  /// - Returns: how many elements count.
  @discardableResult
  func loadTargets(_ rows: Rows, for output: Signal) throws(LSTMError) -> Int {
    elements = output.count / lastExtent
    targetCount = loss.usesClasses ? elements : output.count
    let needed = try Size.sum(try Size.sum(targetCount, try Size.product(2, elements)), lastExtent)
    if (memory?.byteCount ?? 0) / 4 < needed {
      memory = nil
      memory = try Buffer.make(.system, needed, of: Float.self)
    }
    var counted = 0
    let perStep = elements / max(1, output.steps * output.batch)
    for i in 0..<rows.count {
      let sampleWeight = examples.weights?.number(row: rows[i], offset: 0) ?? 1
      for step in 0..<output.steps {
        let first = (step * output.batch + i) * perStep
        let isValid = output.mask.map { $0[step * output.batch + i] != 0 } ?? true
        (mask + first).update(repeating: isValid ? 1 : 0, count: perStep)
        guard isValid else {
          (lossWeights + first).update(repeating: 0, count: perStep)
          continue
        }
        try loadTarget(row: rows[i], step: step, element: first)
        for element in first..<first + perStep {
          lossWeights[element] = Float(sampleWeight * (try classWeight(of: element, row: rows[i])))
        }
        counted += perStep
      }
    }
    let share = 1 / Float(max(1, counted))
    for element in 0..<elements { lossWeights[element] *= share }
    return counted
  }

  /// Checks and stores the targets of one step of one row, whose first element this is.
  private func loadTarget(row: Int, step: Int, element: Int) throws(LSTMError) {
    let y = examples.y
    let offset = hasTime ? step &* y.strides[1] : 0
    let classes = loss.usesClasses
    let range = loss.targetRange(classes: lastExtent)
    try y.forEachInner(from: hasTime ? 2 : 1) { (k, inner) throws(LSTMError) in
      let number = y.number(row: row, offset: offset &+ inner)
      guard number >= range.least, number <= range.most, !classes || number == number.rounded(.towardZero) else {
        throw .argument(
          "\(y.name)\(hasTime ? "[\(row), \(step)]" : "[\(row)]"): expected \(range.spoken), got \(number)")
      }
      if classes {
        targetClasses[element + k] = Int32(number)
      } else {
        targetValues[element * lastExtent + k] = Float(number)
      }
    }
  }

  private func classWeight(of element: Int, row: Int) throws(LSTMError) -> Double {
    guard let weights = examples.classWeights else { return 1 }
    var label = 0
    if loss.usesClasses {
      label = Int(targetClasses[element])
    } else if lastExtent == 1 {
      let number = targetValues[element]
      guard number >= 0, number < Float(weights.count), number == number.rounded(.towardZero) else {
        throw .argument(
          "class_weights: expected labels from 0 to \(weights.count - 1), got \(Double(number)) in "
            + "\(examples.y.name)[\(row)]")
      }
      label = Int(number)
    } else {
      let values = targetValues + element * lastExtent
      for k in 1..<lastExtent where values[k] > values[label] { label = k }
    }
    guard label < weights.count else {
      throw .argument(
        "class_weights: expected a weight for each label, got \(weights.count) and label \(label) in "
          + "\(examples.y.name)[\(row)]")
    }
    return weights[label]
  }
}

/// What targets a loss takes.
struct TargetRange {
  let least: Double
  let most: Double
  let spoken: String
}

extension Loss {
  func targetRange(classes: Int) -> TargetRange {
    if usesClasses {
      return TargetRange(least: 0, most: Double(classes - 1), spoken: "a class from 0 to \(classes - 1)")
    }
    if takesProbabilities { return TargetRange(least: 0, most: 1, spoken: "a number from 0 to 1") }
    let limit = Double(Float.greatestFiniteMagnitude)
    return TargetRange(least: -limit, most: limit, spoken: "a finite number")
  }
}
