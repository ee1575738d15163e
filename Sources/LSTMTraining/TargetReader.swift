internal import LSTMKernels
internal import LSTMLayers
internal import LSTMModels
internal import LSTMTensors

/// Reads the targets of one of a model's outputs, and their weights.
final class TargetReader {
  private let loss: Loss
  /// Of one sample.
  private let output: Shape
  private let kernels: Kernels
  private(set) var y: ArrayView
  private var weights: ArrayView?
  private var classWeights: UnsafeBufferPointer<Double>?
  private let scratch = List<Int32>()
  /// There is a weight for each timestep.
  private var weighsSteps = false

  init(_ model: Model, _ loss: Loss, _ output: Int, _ y: ArrayView) {
    (self.loss, self.output, self.y) = (loss, model.ports.exits[output].shape, y)
    kernels = model.kernels
  }

  private var hasTime: Bool { output.rank > 1 }
  /// Targets of an element; of classes the number of classes.
  var targetWidth: Int { loss.targetWidth(of: output.last) }

  /// Turns to other targets.
  ///
  /// - Parameter output: the shape of the output for all samples.
  func take(
    _ y: ArrayView, _ weights: ArrayView?, _ classWeights: UnsafeBufferPointer<Double>?, _ output: Shape
  ) throws(LSTMError) {
    (self.y, self.weights, self.classWeights) = (y, weights, classWeights)
    guard y.element != .string else { throw .type("\(y.name).type: expected numbers, got string") }
    let expected =
      loss.hasLabels
      ? Shape(output[0], y.shape[min(1, y.shape.rank - 1)], 1)
      : output.replacingLast(loss.usesClasses ? 1 : targetWidth)
    guard TargetReader.fits(y.shape, expected) else {
      throw .argument(
        "\(y.name).shape: expected \(expected.text) (a last axis of 1 may be left out), got \(y.shape.text)")
    }
    try checkWeights(output)
  }

  /// Whether a shape is the one expected, in which a last axis of 1 may be left out.
  private static func fits(_ shape: Shape, _ expected: Shape) -> Bool {
    if shape == expected { return true }
    guard expected.last == 1, shape.rank == expected.rank - 1 else { return false }
    for axis in 0..<shape.rank where shape[axis] != expected[axis] { return false }
    return true
  }

  /// - Parameter output: of all samples.
  private func checkWeights(_ output: Shape) throws(LSTMError) {
    weighsSteps = false
    if loss is SequenceLoss, classWeights != nil {
      throw .argument("class_weights: expected none with a loss of whole sequences, got some")
    }
    guard let weights else { return }
    guard weights.element != .string else { throw .type("\(weights.name).type: expected numbers, got string") }
    let samples = output[0]
    if TargetReader.fits(weights.shape, Shape(samples, 1)) {
      for row in 0..<samples { _ = try weight(of: row, step: 0) }
      return
    }
    // Those of steps are looked at with the steps: what stands over padding may be anything.
    let mayWeighSteps = hasTime && !(loss is SequenceLoss)
    weighsSteps = mayWeighSteps && TargetReader.fits(weights.shape, Shape(samples, output[1], 1))
    if weighsSteps { return }
    let steps = mayWeighSteps ? " or \(Shape(samples, output[1]).text)" : ""
    throw .argument("\(weights.name).shape: expected (\(samples),)\(steps), got \(weights.shape.text)")
  }

  func weight(of row: Int, step: Int) throws(LSTMError) -> Double {
    guard let weights else { return 1 }
    let weight = weights.number(row: row, offset: weighsSteps ? step &* weights.strides[1] : 0)
    guard weight >= 0, Float(weight).isFinite else {
      throw .argument(
        "\(weights.name)\(TargetReader.place(row, weighsSteps ? weights.firstStep + step : nil)): expected a finite "
          + "number of at least 0, got \(weight)")
    }
    return weight
  }

  /// Reads the targets and weights of some rows, for an output that is like this one.
  ///
  /// - Returns: how many elements count.
  func load(_ rows: Rows, for output: Signal, into targets: BatchTargets) throws(LSTMError) -> Int {
    if let loss = loss as? SequenceLoss { return try load(rows, loss, for: output, into: targets) }
    let width = self.output.last
    try targets.prepare(
      elements: output.count / width, targetWidth: loss.usesClasses ? 1 : targetWidth, width: width)
    var counted = 0
    let perStep = targets.elements / max(1, output.rows)
    if loss.usesClasses, perStep == 1, output.mask == nil, weights == nil, classWeights == nil {
      return try loadClasses(rows, for: output, into: targets)
    }
    for i in 0..<rows.count {
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
        let weight = try weight(of: rows[i], step: step)
        for element in first..<first + perStep {
          targets.weights[element] = Float(weight * (try classWeight(of: element, row: rows[i], targets)))
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
      let done = y.readTokens(
        row: rows[i], steps: 0..<steps, limit: targetWidth, into: read, kernels, hasSteps: hasTime)
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

  /// For messages: "[2, 5]".
  @inline(never) static func place(_ row: Int, _ step: Int?) -> Message {
    guard let step else { return "[\(row)]" }
    return "[\(row), \(step)]"
  }

  /// Checks and stores the targets of one step of one row, whose first element this is.
  func loadTarget(row: Int, step: Int, element: Int, _ targets: BatchTargets) throws(LSTMError) {
    let (offset, axis) = (hasTime ? step &* y.strides[1] : 0, hasTime ? 2 : 1)
    let (classes, width) = (loss.usesClasses, targetWidth)
    let range = classes ? TargetRange.classes(width) : loss.traits.targets
    if !classes, range.isUnlimited, y.element == .float32, y.shape.rank == axis + 1 {
      let (values, count) = (targets.values + element * width, y.shape[axis])
      y.copy(row: row, offset: offset, axis: axis, count: count, into: values)
      if kernels.sumOfSquares(count, values).isFinite { return }
    }
    try y.forEachInner(from: axis) { (k, inner) throws(LSTMError) in
      let number = y.number(row: row, offset: offset &+ inner)
      guard range.accepts(number) else {
        throw .argument(
          "\(y.name)\(TargetReader.place(row, hasTime ? y.firstStep + step : nil)): expected \(range.spoken), "
            + "got \(number)")
      }
      if classes {
        targets.classes[element + k] = Int32(number)
      } else {
        targets.values[element * width + k] = Float(number)
      }
    }
  }

  private func classWeight(of element: Int, row: Int, _ targets: BatchTargets) throws(LSTMError) -> Double {
    guard let weights = classWeights else { return 1 }
    var label = 0
    if loss.usesClasses {
      label = Int(targets.classes[element])
    } else if targetWidth == 1 {
      let number = targets.values[element]
      guard number >= 0, number < Float(weights.count), number == number.rounded(.towardZero) else {
        throw .argument(
          "class_weights: expected labels from 0 to \(weights.count - 1), got \(Double(number)) in "
            + "\(y.name)[\(row)]")
      }
      label = Int(number)
    } else {
      let values = targets.values + element * targetWidth
      for k in 1..<targetWidth where values[k] > values[label] { label = k }
    }
    guard label < weights.count else {
      throw .argument(
        "class_weights: expected a weight for each label, got \(weights.count) and label \(label) in "
          + "\(y.name)[\(row)]")
    }
    return weights[label]
  }
}
