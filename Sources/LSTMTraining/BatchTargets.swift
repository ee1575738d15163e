internal import LSTMKernels
internal import LSTMLayers
internal import LSTMTensors

/// Targets and weights of a part of a batch, time first like the outputs. An element is what has a loss of its own: the
/// numbers of the last axis.
final class BatchTargets {
  private var memory: Buffer?
  private(set) var elements = 0
  private var targetCount = 0
  private var targetWidth = 0
  private var width = 0
  /// How many losses there are.
  private var sums = 0
  /// Of a loss that has them.
  var labels: LabelTargets?
  /// Of a loss that has it.
  var chain: ChainTargets?

  /// - Parameters:
  ///   - targetWidth: numbers or classes for each element.
  ///   - width: outputs of each element.
  ///   - sums: of losses that are kept apart, no more than elements; those of pieces unless given.
  func prepare(elements: Int, targetWidth: Int, width: Int, sums: Int? = nil) throws(LSTMError) {
    let targetCount = try Size.product(elements, targetWidth)
    let needed = try Size.sum(try Size.sum(targetCount, try Size.product(4, elements)), try Size.sum(width, 64))
    if (memory?.byteCount ?? 0) / 4 < needed {
      memory = nil
      memory = try Buffer.make(.system, needed, of: Float.self)
    }
    (self.elements, self.targetCount, self.width) = (elements, targetCount, width)
    self.targetWidth = targetWidth
    self.sums = sums ?? pieces
  }

  private var base: MutableFloats { memory?.floats ?? MutableFloats(bitPattern: 64)! }
  var values: MutableFloats { base }
  var classes: UnsafeMutablePointer<Int32> {
    UnsafeMutableRawPointer(base).assumingMemoryBound(to: Int32.self)
  }
  /// Of the loss.
  var weights: MutableFloats { base + targetCount }
  /// Of the metrics: 1 where an element counts.
  var mask: MutableFloats { weights + elements }
  /// For the loss: a row of outputs.
  private var scratch: MutableFloats { mask + elements }
  /// The losses of pieces, or of rows.
  var losses: UnsafeMutablePointer<Double> {
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

  /// Computes the losses, and the gradient of the outputs, times the goal's weight, unless it is nil: one worker's share.
  ///
  /// - Parameter memory: that of the worker, as much as `memoryCount` says.
  func evaluate(
    _ output: Signal, _ goal: Goal, gradient: MutableFloats?, _ kernels: Kernels, memory: MutableFloats, _ part: Part
  ) {
    if let loss = goal.loss as? SequenceLoss {
      return evaluate(loss, goal, output, gradient: gradient, kernels, memory, part)
    }
    // Without a gradient there is one row of scratch, for one worker.
    if gradient == nil, !part.isFirst { return }
    for piece in gradient == nil ? 0..<pieces : part.range(of: pieces) {
      let first = piece * BatchTargets.piece
      let input = LossInput(
        outputs: Floats(output.values + first * width),
        targets: targets(goal.loss).element(first, width: targetWidth),
        elements: min(BatchTargets.piece, elements - first), width: width, weights: Floats(weights + first))
      losses[piece] = goal.loss.evaluate(
        input, fromLogits: goal.isFused, gradient: gradient.map { $0 + first * width }, kernels, scratch: scratch)
      if goal.weight != 1, let gradient {
        kernels.scale(input.elements * width, by: goal.weight, gradient + first * width)
      }
    }
  }

  /// After `evaluate`.
  var loss: Double {
    var total = 0.0
    for i in 0..<sums { total += losses[i] }
    return total
  }

  private func targets(_ loss: Loss) -> Targets {
    loss.usesClasses ? .classes(UnsafePointer(classes)) : .values(Floats(values))
  }

  /// What metrics read, beside the outputs of the whole model.
  func metricInput(_ output: Signal, _ loss: Loss, _ kernels: Kernels) -> MetricInput {
    MetricInput(
      outputs: Floats(output.values + (loss.forecastPlace(width) ?? 0)), stride: width,
      width: loss.targetWidth(of: width), targets: targets(loss), labels: labels, elements: elements,
      mask: Floats(mask), layout: output, kernels: kernels)
  }
}
