public import LSTMDescription
public import LSTMKernels
public import LSTMLayers
public import LSTMTensors

/// A batch as metrics read it.
public struct MetricInput {
  /// Of each element the numbers that answer the targets, after the last activation: those of element e begin at
  /// e · stride.
  public let outputs: Floats
  public let stride: Int
  /// Outputs that answer, for each element.
  public let width: Int
  /// Classes if and only if the loss uses them.
  public let targets: Targets
  /// Of a loss that has labels instead of targets for each element.
  let labels: LabelTargets?
  public let elements: Int
  /// `[elements]`, 1 or 0; an element of 0 is neither counted nor read.
  public let mask: Floats
  /// Which element belongs to which step of which row; without values.
  public let layout: Signal
  public let kernels: Kernels

  public init(
    outputs: Floats, stride: Int, width: Int, targets: Targets, elements: Int, mask: Floats, layout: Signal,
    kernels: Kernels
  ) {
    self.init(
      outputs: outputs, stride: stride, width: width, targets: targets, labels: nil, elements: elements, mask: mask,
      layout: layout, kernels: kernels)
  }

  init(
    outputs: Floats, stride: Int, width: Int, targets: Targets, labels: LabelTargets?, elements: Int, mask: Floats,
    layout: Signal, kernels: Kernels
  ) {
    (self.outputs, self.stride, self.width, self.targets) = (outputs, stride, width, targets)
    self.labels = labels
    (self.elements, self.mask, self.layout, self.kernels) = (elements, mask, layout, kernels)
  }

  /// The outputs of an element.
  func outputs(_ element: Int) -> Floats { outputs + element * stride }

  /// Its targets; of a loss of values.
  func values(_ element: Int) -> Floats { targets.values + element * width }

  /// The class it belongs to: that of the largest target.
  func label(_ element: Int) -> Int {
    switch targets {
    case .classes(let classes): Int(classes[element])
    case .values: firstLargest(values(element), width)
    }
  }
}

/// A figure of how well the outputs fit, gathered over the batches of an epoch. Sample weights do not count in it.
///
/// To add one: a line in `MetricRegistry`, and a class of its own or a form in one that is like it, which gathers all in
/// `state`.
/// - Source: keras/src/metrics of Keras 3, unless a metric names another.
public class Metric {
  private final let column: MetricRegistry.Column
  /// The options as members of a JSON object, without its braces.
  public final let record: Writer
  /// How many numbers are gathered.
  final let stateCount: Int
  private final var memory: Buffer?

  init(_ setting: MetricSetting, stateCount: Int) {
    (column, record, self.stateCount) = (setting.column, setting.fields.record, stateCount)
  }

  /// What was gathered, `stateCount` numbers, all 0 at the beginning. Counts among them are exact up to 2^53.
  final var state: UnsafeMutablePointer<Double> {
    memory?.pointer(to: Double.self) ?? UnsafeMutablePointer(bitPattern: 64)!
  }

  /// The column of the history.
  public final var name: StaticString { column.name }
  /// The column of validation data.
  public final var valName: StaticString { column.valName }
  public final var biggerIsBetter: Bool { column.biggerIsBetter }

  /// Whether the larger of two figures of that column is the better one: "val_accuracy" and "a_accuracy" yes, "loss" no.
  public static func biggerIsBetter(_ column: some BidirectionalCollection<UInt8>) -> Bool {
    for entry in MetricRegistry.columns {
      let (name, count) = (entry.name, entry.name.utf8CodeUnitCount)
      guard column.count >= count, name.matches(column.suffix(count)) else { continue }
      if column.count == count || column.dropLast(count).last == UInt8(ascii: "_") { return entry.biggerIsBetter }
    }
    return false
  }

  /// - Parameters:
  ///   - path: where `value` stands, for messages: "metrics[0]".
  ///   - loss: decides what targets are.
  ///   - outputShape: that of the model, of one sample.
  public static func make(_ value: Value, path: String, loss: Loss, outputShape: Shape) throws(LSTMError) -> Metric {
    let columns = MetricRegistry.columns
    let fields = try Fields(value, path: path)
    let column = columns[try fields.type(of: columns.map { $0.name })]
    let setting = MetricSetting(column: column, fields: fields, loss: loss, outputShape: outputShape)
    guard loss.forecastPlace(outputShape.last) != nil else { throw setting.refused("no metric for a loss of pairs") }
    let metric = try column.make(setting)
    guard !loss.hasLabels || metric is SequenceMetric else {
      throw setting.refused("edit_distance, token_error_rate or bleu for a loss of labels")
    }
    try fields.finish()
    metric.memory = try Buffer.make(.system, metric.stateCount, of: Double.self)
    return metric
  }

  /// Forgets what was gathered.
  public final func reset() { state.clear(stateCount) }

  /// Writes what was gathered, as `stateCount` numbers that `restore` takes back.
  final func save(to numbers: UnsafeMutablePointer<Double>) { numbers.copy(from: state, count: stateCount) }

  final func restore(from numbers: UnsafePointer<Double>) { state.copy(from: numbers, count: stateCount) }

  /// Makes room for batches of so many steps or labels.
  func prepare(steps: Int) throws(LSTMError) {}

  /// Adds a batch.
  public func update(_ batch: MetricInput) {}

  /// The figure so far; 0 before the first element.
  public var result: Double { 0 }
}

/// What a metric is made of.
struct MetricSetting {
  let column: MetricRegistry.Column
  let fields: Fields
  let loss: Loss
  let outputShape: Shape

  /// Outputs that answer targets.
  var width: Int { loss.targetWidth(of: outputShape.last) }
  /// Outputs are one decision for one class.
  var isOfClasses: Bool { loss.traits.isCategorical }

  func refused(_ expected: Message) -> LSTMError {
    .argument("\(fields.path): expected \(expected), got \(quoted(column.name.text.utf8))")
  }

  /// Refuses class indices.
  func needsValues() throws(LSTMError) {
    if loss.usesClasses { throw refused("a metric of class indices, which the loss has as targets") }
  }

  func needsClasses() throws(LSTMError) {
    if !isOfClasses { throw refused("another metric unless the loss is one over classes") }
  }

  /// What an output must pass to mean yes.
  func threshold() throws(LSTMError) -> Float {
    Float(try fields.number("threshold", default: loss.traits.threshold, .any))
  }
}
