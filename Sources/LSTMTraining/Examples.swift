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

/// Reads batches of examples: their inputs by way of a feed, targets and weights into memory that the caller keeps.
final class ExampleReader {
  private var examples: Examples
  let feed: Feed
  private let loss: Loss
  private let output: Shape
  private let kernels: Kernels
  private let scratch = List<Int32>()

  private init(_ examples: Examples, _ feed: Feed, _ loss: Loss, _ model: Model) {
    (self.examples, self.feed, self.loss, output) = (examples, feed, loss, model.outputShape)
    kernels = model.kernels
  }

  static func make(_ model: Model, _ examples: Examples, _ loss: Loss) throws(LSTMError) -> ExampleReader {
    let feed = try Feed.make(model, examples.x, sameSteps: model.outputHasTime)
    let reader = ExampleReader(examples, feed, loss, model)
    try reader.check()
    return reader
  }

  /// Turns to other examples, with the memory there is.
  func take(_ model: Model, _ examples: Examples) throws(LSTMError) {
    self.examples = examples
    try feed.take(examples.x, sameSteps: model.outputHasTime)
    try check()
  }

  /// Samples.
  var count: Int { examples.count }
  private var lastExtent: Int { output.last }
  private var hasTime: Bool { output.rank > 1 }

  private func check() throws(LSTMError) {
    let (x, y) = (examples.x, examples.y)
    if x.rows == 0 { throw .argument("\(x.name).shape: expected at least one sample, got \(x.shape.text)") }
    guard y.element != .string else { throw .type("\(y.name).type: expected numbers, got string") }
    let output = try feed.outputShape()
    guard ExampleReader.fits(y.shape, output, classes: loss.usesClasses) else {
      var expected = output
      if loss.usesClasses { expected = expected.replacingLast(1) }
      throw .argument(
        "\(y.name).shape: expected \(expected.text) (a last axis of 1 may be left out), got \(y.shape.text)")
    }
    try ExampleReader.check(examples.weights, samples: x.rows)
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

  /// Reads the targets and weights of a part of the feed's batch, for outputs like this one.
  ///
  /// - Returns: how many elements count.
  func load(_ range: Range<Int>, for output: Signal, into targets: BatchTargets) throws(LSTMError) -> Int {
    try targets.prepare(
      elements: output.count / lastExtent, perElement: loss.usesClasses ? 1 : lastExtent, width: lastExtent)
    var counted = 0
    let perStep = targets.elements / max(1, output.rows)
    let rows = feed.rows(range)
    if loss.usesClasses, perStep == 1, output.mask == nil, examples.weights == nil, examples.classWeights == nil {
      return try loadClasses(rows, for: output, into: targets)
    }
    for i in 0..<rows.count {
      let sampleWeight = examples.weights?.number(row: rows[i], offset: 0) ?? 1
      for step in 0..<output.steps where i < output.rows(at: step) {
        let place = output.first(step) + i
        let first = place * perStep
        let isValid = output.mask.map { $0[place] != 0 } ?? true
        (targets.mask + first).update(repeating: isValid ? 1 : 0, count: perStep)
        guard isValid else {
          (targets.weights + first).clear(perStep)
          continue
        }
        try loadTarget(row: rows[i], step: step, element: first, targets)
        for element in first..<first + perStep {
          targets.weights[element] = Float(sampleWeight * (try classWeight(of: element, row: rows[i], targets)))
        }
        counted += perStep
      }
    }
    return counted
  }

  /// The same for one class for each step, all of one weight.
  private func loadClasses(
    _ rows: Rows, for output: Signal, into targets: BatchTargets
  ) throws(LSTMError) -> Int {
    let read = try scratch.extend(by: output.steps)
    defer { scratch.removeAll() }
    for i in 0..<rows.count {
      var steps = 0
      while steps < output.steps, i < output.rows(at: steps) { steps += 1 }
      let done = examples.y.readTokens(
        row: rows[i], steps: 0..<steps, limit: lastExtent, into: read, kernels, hasSteps: hasTime)
      for step in 0..<steps {
        let place = output.first(step) + i
        if step < done {
          targets.classes[place] = read[step]
        } else {
          // It says what is wrong.
          try loadTarget(row: rows[i], step: step, element: place, targets)
        }
        (targets.mask[place], targets.weights[place]) = (1, 1)
      }
    }
    return output.rows
  }

  /// Checks and stores the targets of one step of one row, whose first element this is.
  private func loadTarget(row: Int, step: Int, element: Int, _ targets: BatchTargets) throws(LSTMError) {
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
        targets.classes[element + k] = Int32(number)
      } else {
        targets.values[element * lastExtent + k] = Float(number)
      }
    }
  }

  private func classWeight(of element: Int, row: Int, _ targets: BatchTargets) throws(LSTMError) -> Double {
    guard let weights = examples.classWeights else { return 1 }
    var label = 0
    if loss.usesClasses {
      label = Int(targets.classes[element])
    } else if lastExtent == 1 {
      let number = targets.values[element]
      guard number >= 0, number < Float(weights.count), number == number.rounded(.towardZero) else {
        throw .argument(
          "class_weights: expected labels from 0 to \(weights.count - 1), got \(Double(number)) in "
            + "\(examples.y.name)[\(row)]")
      }
      label = Int(number)
    } else {
      let values = targets.values + element * lastExtent
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

/// Targets and weights of a part of a batch, time first like the outputs. An element is what has a loss of its own: the
/// numbers of the last axis.
final class BatchTargets {
  private var memory: Buffer?
  private(set) var elements = 0
  private var targetCount = 0
  private var width = 0

  fileprivate func prepare(elements: Int, perElement: Int, width: Int) throws(LSTMError) {
    let targetCount = try Size.product(elements, perElement)
    let needed = try Size.sum(try Size.sum(targetCount, try Size.product(4, elements)), try Size.sum(width, 64))
    if (memory?.byteCount ?? 0) / 4 < needed {
      memory = nil
      memory = try Buffer.make(.system, needed, of: Float.self)
    }
    (self.elements, self.targetCount, self.width) = (elements, targetCount, width)
  }

  private var base: MutableFloats { memory?.floats ?? MutableFloats(bitPattern: 64)! }
  fileprivate var values: MutableFloats { base }
  fileprivate var classes: UnsafeMutablePointer<Int32> {
    UnsafeMutableRawPointer(base).assumingMemoryBound(to: Int32.self)
  }
  /// Of the loss.
  var weights: MutableFloats { base + targetCount }
  /// Of the metrics: 1 where an element counts.
  var mask: MutableFloats { weights + elements }
  /// For the loss: a row of outputs.
  private var scratch: MutableFloats { mask + elements }
  /// The losses of pieces.
  private var losses: UnsafeMutablePointer<Double> {
    UnsafeMutableRawPointer(base + (targetCount + 2 * elements + width + 15) / 16 * 16)
      .assumingMemoryBound(to: Double.self)
  }

  /// Elements whose losses make one sum.
  private static let piece = 64
  private var pieces: Int { (elements + BatchTargets.piece - 1) / BatchTargets.piece }

  /// The mean over a batch in which so many elements count.
  func divideWeights(by counted: Int) {
    let share = 1 / Float(max(1, counted))
    for element in 0..<elements { weights[element] *= share }
  }

  /// Computes the losses, and the gradient of the outputs unless it is nil: one worker's share.
  func evaluate(
    _ output: Signal, _ compilation: Compilation, gradient: MutableFloats?, _ kernels: Kernels, _ part: Part
  ) {
    // Without a gradient there is one row of scratch, for one worker.
    if gradient == nil, !part.isFirst { return }
    let width = output.count / max(1, elements)
    for piece in gradient == nil ? 0..<pieces : part.range(of: pieces) {
      let first = piece * BatchTargets.piece
      let targets: Targets =
        compilation.loss.usesClasses
        ? .classes(UnsafePointer(classes + first)) : .values(Floats(values + first * width))
      let input = LossInput(
        outputs: Floats(output.values + first * width), targets: targets,
        elements: min(BatchTargets.piece, elements - first), width: width, weights: Floats(weights + first))
      losses[piece] = compilation.loss.evaluate(
        input, fromLogits: compilation.fromLogits, gradient: gradient.map { $0 + first * width }, kernels,
        scratch: scratch)
    }
  }

  /// After `evaluate`.
  var loss: Double {
    var total = 0.0
    for piece in 0..<pieces { total += losses[piece] }
    return total
  }

  func targets(_ loss: Loss) -> Targets {
    loss.usesClasses ? .classes(UnsafePointer(classes)) : .values(Floats(values))
  }
}

/// What targets a loss takes.
struct TargetRange {
  let least: Double
  let most: Double
  let isClass: Bool

  /// For messages.
  var spoken: String {
    if isClass { return "a class from 0 to \(Int(most))" }
    return most == 1 ? "a number from 0 to 1" : "a finite number"
  }
}

extension Loss {
  func targetRange(classes: Int) -> TargetRange {
    if usesClasses { return TargetRange(least: 0, most: Double(classes - 1), isClass: true) }
    if takesProbabilities { return TargetRange(least: 0, most: 1, isClass: false) }
    let limit = Double(Float.greatestFiniteMagnitude)
    return TargetRange(least: -limit, most: limit, isClass: false)
  }
}
