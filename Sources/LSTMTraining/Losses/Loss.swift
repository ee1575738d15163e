public import LSTMDescription
public import LSTMKernels
public import LSTMTensors

/// What the outputs should have been.
public enum Targets {
  /// `[elements, width]` numbers; the width is `Loss.targetWidth`.
  case values(Floats)
  /// `[elements]` class indices below the number of outputs.
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

/// Which numbers a loss takes as targets.
struct TargetRange {
  let least: Double
  let most: Double
  var isWhole = false
  let name: StaticString

  private static var limit: Double { Double(Float.greatestFiniteMagnitude) }

  static var numbers: TargetRange { TargetRange(least: -limit, most: limit, name: "a finite number") }
  static var nonnegative: TargetRange { TargetRange(least: 0, most: limit, name: "a finite number of at least 0") }
  static var probabilities: TargetRange { TargetRange(least: 0, most: 1, name: "a number from 0 to 1") }
  static var signs: TargetRange { TargetRange(least: -1, most: 1, isWhole: true, name: "-1, 0 or 1") }
  static func classes(_ count: Int) -> TargetRange {
    TargetRange(least: 0, most: Double(count - 1), isWhole: true, name: "a class from 0 to ")
  }

  /// Whether it takes every finite number.
  var isUnlimited: Bool { least == -TargetRange.limit }

  func accepts(_ number: Double) -> Bool {
    number >= least && number <= most && (!isWhole || number == number.rounded(.towardZero))
  }

  /// For messages.
  var spoken: Message { isWhole && least == 0 ? "\(name)\(most)" : "\(name)" }
}

/// What a loss takes, apart from its equation.
struct LossTraits {
  /// Targets are class indices, not numbers.
  var usesClasses = false
  /// An element belongs to one class, or has a share in each: the largest output is the decision.
  var isCategorical = false
  /// An output is a decision of yes or no.
  var isBinary = false
  /// What an output must pass to mean yes, unless a metric says otherwise.
  var threshold = 0.5
  var targets = TargetRange.numbers
  /// Outputs for each target, in blocks of one for every target. 0: they are two vectors, for which there is one target.
  var blocks = 1
  /// The block that answers the targets, for metrics.
  var forecast = 0
  var leastOutputs = 1
  /// The activation that undoes the loss's logarithm, and whether the description says that outputs are logits.
  var activation: Loss.OutputActivation?
  var readsLogits = false
}

/// What training minimises: a function of an element's outputs and targets.
///
/// To add one: a line in `LossRegistry`, and a function in a class that is like it or a class of its own. What differs
/// between losses is data where it can be, not methods: each method costs every class a place in its table.
/// - Source: keras/src/losses/losses.py and keras/src/backend/*/nn.py of Keras 3, unless a loss names another.
public class Loss {
  /// Where its description stands, for messages: "training.loss".
  private final let path: String
  /// The options as members of a JSON object, without its braces.
  public final let record: Writer
  final let traits: LossTraits

  /// - Parameter fields: of the description; all of the loss's own have been read.
  init(_ fields: Fields, _ traits: LossTraits) {
    (path, record, self.traits) = (fields.path, fields.record, traits)
  }

  /// - Parameter path: where `value` stands, for messages: "loss".
  public static func make(_ value: Value, path: String) throws(LSTMError) -> Loss {
    let fields = try Fields(value, path: path)
    let entries = LossRegistry.entries
    let loss = try entries[try fields.type(of: entries.map { $0.name })].make(fields)
    try fields.finish()
    return loss
  }

  public final var usesClasses: Bool { traits.usesClasses }

  /// It is that of the chain by which the model's last layer decides.
  final var readsChain: Bool {
    if case .tags? = (self as? SequenceLoss)?.rowTargets { true } else { false }
  }

  /// Targets are as many labels for each row as there are, not something for each element.
  final var hasLabels: Bool {
    if case .labels? = (self as? SequenceLoss)?.rowTargets { true } else { false }
  }

  /// Targets of an element with so many outputs; of classes it is the number of classes.
  final func targetWidth(of outputWidth: Int) -> Int { traits.blocks == 0 ? 1 : outputWidth / traits.blocks }

  /// Where among the outputs of an element the `targetWidth` begin that answer the targets; nil: nowhere.
  final func forecastPlace(_ outputWidth: Int) -> Int? {
    traits.blocks == 0 ? nil : traits.forecast * targetWidth(of: outputWidth)
  }

  public enum OutputActivation { case sigmoid, softmax }

  /// The activation that undoes this loss's logarithm: when it is the model's last, give `evaluate` what went into it
  /// and `fromLogits`, and the gradient is that of the logits.
  public final var canonicalActivation: OutputActivation? { traits.readsLogits ? nil : traits.activation }

  /// Refuses a model whose outputs this loss cannot teach anything.
  public final func check(outputWidth: Int) throws(LSTMError) {
    if outputWidth < traits.leastOutputs {
      throw .argument("\(path): expected a model of at least \(traits.leastOutputs) outputs, got \(outputWidth)")
    }
    let multiple = traits.blocks == 0 ? 2 : traits.blocks
    if outputWidth % multiple != 0 {
      throw .argument("\(path): expected a model of a multiple of \(multiple) outputs, got \(outputWidth)")
    }
  }

  /// The same of the shape of a sample's output.
  final func check(_ shape: Shape) throws(LSTMError) {
    guard shape.rank == 2 || !(self is SequenceLoss) else {
      throw .argument("\(path): expected a model of outputs for each timestep, (timesteps, classes), got \(shape.text)")
    }
    try check(outputWidth: shape.last)
  }

  /// The loss of one element, and its gradient if there is room for it. Weights must not be 0.
  func evaluate(_ row: LossRow) -> Double { preconditionFailure("a loss without an equation") }

  /// Σ over elements of weight · loss.
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
    let (width, areLogits) = (input.width, fromLogits || traits.readsLogits)
    let targetWidth = targetWidth(of: width)
    var total = 0.0
    for element in 0..<input.elements {
      let slopes = gradient.map { $0 + element * width }
      let weight = Double(input.weights[element])
      if weight == 0 {
        slopes?.clear(width)
        continue
      }
      let row = LossRow(
        outputs: input.outputs + element * width, width: width,
        targets: input.targets.element(element, width: targetWidth), weight: weight, gradient: slopes,
        areLogits: areLogits, kernels: kernels, scratch: scratch)
      total += weight * evaluate(row)
    }
    return total
  }
}

extension Targets {
  /// Those of one element.
  func element(_ i: Int, width: Int) -> Targets {
    switch self {
    case .values(let values): .values(values + i * width)
    case .classes(let classes): .classes(classes + i)
    }
  }

  /// Of a loss of values.
  var values: Floats {
    guard case .values(let values) = self else { preconditionFailure("classes for a loss of values") }
    return values
  }
}

/// One element's outputs and targets.
struct LossRow {
  /// `[width]`.
  let outputs: Floats
  let width: Int
  let targets: Targets
  let weight: Double
  /// `[width]`, to be written: weight · dLoss/dOutput.
  let gradient: MutableFloats?
  let areLogits: Bool
  let kernels: Kernels
  /// `[width]`.
  let scratch: MutableFloats
}
