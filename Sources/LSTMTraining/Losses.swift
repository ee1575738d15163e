internal import CLSTMShim
public import LSTMDescription
public import LSTMKernels
public import LSTMTensors

/// What the outputs should have been.
public enum Targets {
  /// `[elements, width]` numbers.
  case values(Floats)
  /// `[elements]` class indices in 0..<width.
  case classes(UnsafePointer<Int32>)
}

/// A batch of outputs and targets. An element is what has one loss: a sample, or a timestep of one.
public struct LossInput {
  /// `[elements, width]`.
  public let outputs: Floats
  public let targets: Targets
  public let elements: Int
  public let width: Int
  /// `[elements]`: sample and class weights, mask and 1/number of valid elements in one. An element of weight 0 is
  /// padding: its outputs and targets are not read.
  public let weights: Floats

  public init(outputs: Floats, targets: Targets, elements: Int, width: Int, weights: Floats) {
    (self.outputs, self.targets, self.elements, self.width) = (outputs, targets, elements, width)
    self.weights = weights
  }
}

/// What training minimises: a function of an element's outputs and targets.
///
/// To add one: a form, its line in `table`, its case in `evaluate` and a function below.
/// - Source: keras/src/losses/losses.py and keras/src/backend/*/nn.py of Keras 3.
public struct Loss {
  private enum Form {
    case binaryCrossentropy, categoricalCrossentropy, sparseCategoricalCrossentropy
    case squaredError, absoluteError, huber
  }

  private static var table: [(name: StaticString, form: Form)] {
    [
      ("binary_crossentropy", .binaryCrossentropy), ("categorical_crossentropy", .categoricalCrossentropy),
      ("sparse_categorical_crossentropy", .sparseCategoricalCrossentropy), ("mse", .squaredError),
      ("mae", .absoluteError), ("huber", .huber), ("mean_squared_error", .squaredError),
      ("mean_absolute_error", .absoluteError),
    ]
  }

  private let form: Form
  private let name: StaticString
  private let path: String
  /// The description says that outputs are logits.
  private let fromLogits: Bool
  /// Where Huber's loss turns from a parabola to a line.
  private let delta: Double
  /// The options as members of a JSON object, without its braces.
  public let record: Writer

  /// - Parameter path: where `value` stands, for messages: "loss".
  public static func make(_ value: Value, path: String) throws(LSTMError) -> Loss {
    let fields = try Fields(value, path: path)
    let table = table
    let (name, form) = table[try fields.type(of: table.map { $0.name })]
    var fromLogits = false
    var delta = 1.0
    switch form {
    case .binaryCrossentropy, .categoricalCrossentropy, .sparseCategoricalCrossentropy:
      fromLogits = try fields.boolean("from_logits", default: false)
    case .huber:
      delta = try fields.number("delta", default: delta, expected: "a positive number") { $0 > 0 }
    case .squaredError, .absoluteError: break
    }
    try fields.finish()
    return Loss(form: form, name: name, path: path, fromLogits: fromLogits, delta: delta, record: fields.record)
  }

  /// Targets are class indices, not numbers of the outputs' shape.
  public var usesClasses: Bool { form == .sparseCategoricalCrossentropy }

  /// Targets are numbers from 0 to 1.
  public var takesProbabilities: Bool { form == .binaryCrossentropy || form == .categoricalCrossentropy }

  public enum OutputActivation { case sigmoid, softmax }

  /// The activation that undoes this loss's logarithm: when it is the model's last, give `evaluate` what went into it
  /// and `fromLogits`, and the gradient is that of the logits.
  public var canonicalActivation: OutputActivation? {
    if fromLogits { return nil }
    switch form {
    case .binaryCrossentropy: return .sigmoid
    case .categoricalCrossentropy, .sparseCategoricalCrossentropy: return .softmax
    case .squaredError, .absoluteError, .huber: return nil
    }
  }

  /// Refuses a model whose output this loss cannot teach anything: one class out of one has probability 1.
  public func check(outputWidth: Int) throws(LSTMError) {
    if outputWidth == 1, form == .categoricalCrossentropy || form == .sparseCategoricalCrossentropy {
      throw .argument("\(path): expected a model of at least 2 outputs for \(name), got 1")
    }
  }

  /// Σ over elements of weight · loss, where an element's loss is the mean over its outputs, for the categorical
  /// cross-entropies the sum.
  ///
  /// - Parameters:
  ///   - input: its targets are classes if and only if `usesClasses`.
  ///   - fromLogits: the outputs are logits; also when the description says so.
  ///   - gradient: `[elements, width]`, every number written: weight · dLoss/dOutput. Must not overlap the outputs.
  ///   - scratch: `width` floats, used when there is no gradient.
  /// - Returns: not a finite number when an output that counts is none.
  public func evaluate(
    _ input: LossInput, fromLogits: Bool, gradient: MutableFloats?, _ kernels: Kernels, scratch: MutableFloats
  ) -> Double {
    let fromLogits = fromLogits || self.fromLogits
    switch (form, input.targets) {
    case (.binaryCrossentropy, .values(let targets)):
      if fromLogits { return input.meanOverOutputs(targets, gradient, binaryCrossentropyOfLogit) }
      return input.meanOverOutputs(targets, gradient, binaryCrossentropy)
    case (.squaredError, .values(let targets)): return input.meanOverOutputs(targets, gradient, squaredError)
    case (.absoluteError, .values(let targets)): return input.meanOverOutputs(targets, gradient, absoluteError)
    case (.huber, .values(let targets)):
      return input.meanOverOutputs(targets, gradient) { [delta] (y, t) in huber(y, t, delta: delta) }
    case (.categoricalCrossentropy, .values(let targets)):
      return input.sum(gradient) { (element, row) in
        let t = targets + element * row.width
        if fromLogits { return categoricalCrossentropyOfLogits(row, t, kernels, scratch) }
        return categoricalCrossentropy(row) { Double(t[$0]) }
      }
    case (.sparseCategoricalCrossentropy, .classes(let classes)):
      if fromLogits { return input.sumOfLogits(classes, gradient, kernels) }
      return input.sum(gradient) { (element, row) in
        let label = Int(classes[element])
        return categoricalCrossentropy(row) { $0 == label ? 1 : 0 }
      }
    default: preconditionFailure("classes for a loss of values, or values for a loss of classes")
    }
  }
}

/// One element's outputs.
private struct Row {
  let outputs: Floats
  let width: Int
  let weight: Double
  /// `[width]`, to be written.
  let gradient: MutableFloats?
}

extension LossInput {
  /// Σ weight · loss over the elements that count; the gradient of the others becomes 0.
  fileprivate func sum(_ gradient: MutableFloats?, _ loss: (Int, Row) -> Double) -> Double {
    var total = 0.0
    for element in 0..<elements {
      let slopes = gradient.map { $0 + element * width }
      let weight = Double(weights[element])
      if weight == 0 {
        slopes?.clear(width)
      } else {
        let row = Row(outputs: outputs + element * width, width: width, weight: weight, gradient: slopes)
        total += weight * loss(element, row)
      }
    }
    return total
  }

  /// The same for -ln softmax(z)[label].
  fileprivate func sumOfLogits(
    _ classes: UnsafePointer<Int32>, _ gradient: MutableFloats?, _ kernels: Kernels
  ) -> Double {
    var total = 0.0
    let rowsAtOnce = 64
    withUnsafeTemporaryAllocation(of: Double.self, capacity: rowsAtOnce) { losses in
      guard let losses = losses.baseAddress else { return }
      for first in stride(from: 0, to: elements, by: rowsAtOnce) {
        let rows = min(rowsAtOnce, elements - first)
        kernels.softmaxCrossEntropy(
          rows: rows, width: width, outputs + first * width, classes + first, weights: weights + first,
          dx: gradient.map { $0 + first * width }, losses: losses)
        for row in 0..<rows where weights[first + row] != 0 { total += Double(weights[first + row]) * losses[row] }
      }
    }
    return total
  }

  /// The same for a loss that is the mean of a function of each output and target, given with its derivative.
  fileprivate func meanOverOutputs(
    _ targets: Floats, _ gradient: MutableFloats?, _ loss: (Double, Double) -> (loss: Double, slope: Double)
  ) -> Double {
    sum(gradient) { (element, row) in
      let t = targets + element * row.width
      var total = 0.0
      for j in 0..<row.width {
        let one = loss(Double(row.outputs[j]), Double(t[j]))
        total += one.loss
        row.gradient?[j] = Float(row.weight * one.slope / Double(row.width))
      }
      return total / Double(row.width)
    }
  }
}

/// A probability kept 1e-7 away from 0 and 1. Where that moves it, the loss has no slope.
private func clipped(_ p: Double) -> (p: Double, isClipped: Bool) {
  // Keras clips in float32, where 1 - 1e-7 is 0.99999988: the loss of a wrong certainty depends on it.
  let smallest = Double(Float(1e-7))
  let largest = Double(Float(1 - 1e-7))
  return p < smallest ? (smallest, true) : p > largest ? (largest, true) : (p, false)
}

/// -t·ln p - (1 - t)·ln(1 - p).
private func binaryCrossentropy(_ y: Double, _ t: Double) -> (loss: Double, slope: Double) {
  let (p, isClipped) = clipped(y)
  return (-t * shim_log(p) - (1 - t) * shim_log(1 - p), isClipped ? 0 : (p - t) / (p * (1 - p)))
}

/// The same with p = σ(z), as max(z, 0) - t·z + ln(1 + exp(-|z|)), which overflows for no z.
private func binaryCrossentropyOfLogit(_ z: Double, _ t: Double) -> (loss: Double, slope: Double) {
  let e = shim_exp(-z.magnitude)
  // σ(z) - t over the common denominator, so that a small slope keeps its digits.
  return (max(z, 0) - t * z + shim_log1p(e), ((z < 0 ? e : 1) - t - t * e) / (1 + e))
}

private func squaredError(_ y: Double, _ t: Double) -> (loss: Double, slope: Double) {
  ((y - t) * (y - t), 2 * (y - t))
}

private func absoluteError(_ y: Double, _ t: Double) -> (loss: Double, slope: Double) {
  ((y - t).magnitude, sign(y - t))
}

/// (y - t)²/2 near the target, a line of slope `delta` farther off.
private func huber(_ y: Double, _ t: Double, delta: Double) -> (loss: Double, slope: Double) {
  let error = y - t
  return error.magnitude <= delta
    ? (0.5 * error * error, error) : (delta * error.magnitude - 0.5 * delta * delta, delta * sign(error))
}

/// 0 at 0; NaN stays.
private func sign(_ x: Double) -> Double { x > 0 ? 1 : x < 0 ? -1 : x }

/// -Σ t·ln p of outputs that become probabilities p by division by their sum.
private func categoricalCrossentropy(_ row: Row, _ target: (Int) -> Double) -> Double {
  var sum = 0.0
  for j in 0..<row.width { sum += Double(row.outputs[j]) }
  var loss = 0.0
  /// Σ t over the probabilities that were not clipped: what the gradient of the sum gathers.
  var kept = 0.0
  for j in 0..<row.width {
    let t = target(j)
    if t == 0 { continue }
    let (p, isClipped) = clipped(Double(row.outputs[j]) / sum)
    loss -= t * shim_log(p)
    if !isClipped { kept += t }
  }
  if let gradient = row.gradient {
    for j in 0..<row.width {
      let (p, isClipped) = clipped(Double(row.outputs[j]) / sum)
      gradient[j] = Float(row.weight * (kept - (isClipped ? 0 : target(j) / p)) / sum)
    }
  }
  return loss
}

/// -Σ t·ln softmax(z).
private func categoricalCrossentropyOfLogits(
  _ row: Row, _ targets: Floats, _ kernels: Kernels, _ scratch: MutableFloats
) -> Double {
  let p = row.gradient ?? scratch
  let (top, logSum) = softmax(row, kernels, into: p)
  var loss = 0.0
  var sum = 0.0
  for j in 0..<row.width {
    let t = Double(targets[j])
    loss += t * (logSum - (Double(row.outputs[j]) - top))
    sum += t
  }
  if let gradient = row.gradient {
    kernels.scale(row.width, by: Float(row.weight * sum), gradient)
    kernels.add(row.width, Float(-row.weight), times: targets, to: gradient)
  }
  return loss
}

/// p = softmax(z), the largest z, and ln Σ exp(z - largest).
private func softmax(_ row: Row, _ kernels: Kernels, into p: MutableFloats) -> (top: Double, logSum: Double) {
  kernels.softmax(rows: 1, width: row.width, row.outputs, p)
  let top = firstLargest(row.outputs, row.width)
  // As 1 + the rest, so that a loss near 0 keeps its digits.
  var rest = 0.0
  for j in 0..<row.width where j != top { rest += Double(p[j]) }
  return (Double(row.outputs[top]), shim_log1p(rest / Double(p[top])))
}

/// The place of the largest number, of the first if there are several.
func firstLargest(_ x: Floats, _ count: Int) -> Int {
  var best = 0
  for i in 0..<count where x[i] > x[best] { best = i }
  return best
}
