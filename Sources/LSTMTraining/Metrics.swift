public import LSTMDescription
public import LSTMKernels
public import LSTMTensors

/// A figure of how well the outputs fit, gathered over the batches of an epoch. Sample weights do not count in it.
///
/// To add one: a form, its line in `table`, and its cases in `update` and `result`.
/// - Source: keras/src/metrics of Keras 3.
public final class Metric {
  private enum Form {
    case accuracy, binaryAccuracy, categoricalAccuracy, sparseCategoricalAccuracy
    case squaredError, absoluteError, precision, recall, auc
  }

  private struct Column {
    let name: StaticString
    let valName: StaticString
    let form: Form
    let biggerIsBetter: Bool

    init(_ name: StaticString, _ valName: StaticString, _ form: Form, biggerIsBetter: Bool = true) {
      (self.name, self.valName, self.form, self.biggerIsBetter) = (name, valName, form, biggerIsBetter)
    }
  }

  private static var table: [Column] {
    [
      Column("accuracy", "val_accuracy", .accuracy),
      Column("binary_accuracy", "val_binary_accuracy", .binaryAccuracy),
      Column("categorical_accuracy", "val_categorical_accuracy", .categoricalAccuracy),
      Column("sparse_categorical_accuracy", "val_sparse_categorical_accuracy", .sparseCategoricalAccuracy),
      Column("mse", "val_mse", .squaredError, biggerIsBetter: false),
      Column("mae", "val_mae", .absoluteError, biggerIsBetter: false),
      Column("precision", "val_precision", .precision),
      Column("recall", "val_recall", .recall),
      Column("auc", "val_auc", .auc),
      Column("mean_squared_error", "val_mean_squared_error", .squaredError, biggerIsBetter: false),
      Column("mean_absolute_error", "val_mean_absolute_error", .absoluteError, biggerIsBetter: false),
    ]
  }

  /// Whether the larger of two figures of that column is the better one: "val_accuracy" yes, "loss" no.
  public static func biggerIsBetter(_ column: some Collection<UInt8>) -> Bool {
    for entry in table where entry.name.matches(column) || entry.valName.matches(column) { return entry.biggerIsBetter }
    return false
  }

  private let column: Column
  /// What is measured: never `accuracy`, which stands for one of the three.
  private let form: Form
  /// The name as a member of a JSON object, without its braces.
  public let record: Writer

  /// The column of the history.
  public var name: StaticString { column.name }
  /// The column of validation data.
  public var valName: StaticString { column.valName }
  public var biggerIsBetter: Bool { column.biggerIsBetter }

  // Means: the sum over elements, and their number.
  private var total = 0.0
  private var count = 0
  // Precision and recall.
  private var truePositives = 0
  private var falsePositives = 0
  private var falseNegatives = 0
  /// AUC: the numbers of positive and of negative entries with an output between two thresholds, `[2, intervals]`.
  private let counts: Buffer?

  /// Spaces between the 200 thresholds of the ROC curve; the outermost two lie just outside of 0 and 1.
  private static let intervals = 199

  private init(_ column: Column, _ form: Form, record: Writer, counts: Buffer?) {
    (self.column, self.form, self.record, self.counts) = (column, form, record, counts)
  }

  /// - Parameters:
  ///   - path: where `value` stands, for messages: "metrics[0]".
  ///   - loss: decides whether targets are values or classes.
  ///   - outputWidth: the extent of the model's last axis.
  public static func make(_ value: Value, path: String, loss: Loss, outputWidth: Int) throws(LSTMError) -> Metric {
    let fields = try Fields(value, path: path)
    let table = table
    let column = table[try fields.type(of: table.map { $0.name })]
    try fields.finish()
    var form = column.form
    if form == .accuracy {
      form = loss.usesClasses ? .sparseCategoricalAccuracy : outputWidth == 1 ? .binaryAccuracy : .categoricalAccuracy
    }
    if loss.usesClasses, form != .sparseCategoricalAccuracy {
      throw .argument(
        "\(path): expected accuracy or sparse_categorical_accuracy, because targets are class indices, got "
          + "\(quoted(column.name.text.utf8))")
    }
    if !loss.usesClasses, form == .sparseCategoricalAccuracy {
      throw .argument(
        "\(path): expected another metric unless the loss is sparse_categorical_crossentropy, got "
          + "\(quoted(column.name.text.utf8))")
    }
    let counts = form == .auc ? try Buffer.make(.system, 2 * intervals, of: Int.self) : nil
    return Metric(column, form, record: fields.record, counts: counts)
  }

  /// Forgets what was gathered.
  public func reset() {
    (total, count) = (0, 0)
    (truePositives, falsePositives, falseNegatives) = (0, 0, 0)
    counts?.pointer(to: Int.self).update(repeating: 0, count: 2 * Metric.intervals)
  }

  /// How many numbers `save` writes.
  var stateCount: Int { 5 + (counts == nil ? 0 : 2 * Metric.intervals) }

  /// What was gathered, as numbers that `restore` takes back.
  func save(to numbers: UnsafeMutablePointer<Double>) {
    numbers[0] = total
    numbers[1] = Double(count)
    numbers[2] = Double(truePositives)
    numbers[3] = Double(falsePositives)
    numbers[4] = Double(falseNegatives)
    for i in 5..<stateCount { numbers[i] = Double(counts?.pointer(to: Int.self)[i - 5] ?? 0) }
  }

  /// - Parameter numbers: of which all but the first are whole.
  func restore(from numbers: UnsafePointer<Double>) {
    func whole(_ i: Int) -> Int { Int(exactly: numbers[i]) ?? 0 }
    (total, count) = (numbers[0], whole(1))
    (truePositives, falsePositives, falseNegatives) = (whole(2), whole(3), whole(4))
    for i in 5..<stateCount { counts?.pointer(to: Int.self)[i - 5] = whole(i) }
  }

  /// Adds a batch.
  ///
  /// - Parameters:
  ///   - outputs: `[elements, width]`, after the last activation.
  ///   - targets: classes if and only if the loss uses them.
  ///   - mask: `[elements]`, 1 or 0; an element of 0 is neither counted nor read.
  public func update(outputs: Floats, targets: Targets, elements: Int, width: Int, mask: Floats) {
    for element in 0..<elements where mask[element] != 0 {
      let y = outputs + element * width
      switch targets {
      case .classes(let classes): add(firstLargest(y, width) == Int(classes[element]) ? 1 : 0)
      case .values(let values): update(y, values + element * width, width)
      }
    }
  }

  /// Adds one element: outputs y and targets t, `[width]` both.
  private func update(_ y: Floats, _ t: Floats, _ width: Int) {
    switch form {
    case .accuracy, .sparseCategoricalAccuracy: preconditionFailure("values for a metric of classes")
    case .binaryAccuracy: addMean(width) { t[$0] == (y[$0] > 0.5 ? 1 : 0) ? 1 : 0 }
    case .categoricalAccuracy: add(firstLargest(y, width) == firstLargest(t, width) ? 1 : 0)
    case .squaredError:
      addMean(width) { (Double(y[$0]) - Double(t[$0])) * (Double(y[$0]) - Double(t[$0])) }
    case .absoluteError: addMean(width) { (Double(y[$0]) - Double(t[$0])).magnitude }
    case .precision, .recall:
      for j in 0..<width {
        switch (y[j] > 0.5, t[j] != 0) {
        case (true, true): truePositives += 1
        case (true, false): falsePositives += 1
        case (false, true): falseNegatives += 1
        case (false, false): break
        }
      }
    case .auc:
      guard let counts = counts?.pointer(to: Int.self) else { return }
      for j in 0..<width { counts[(t[j] != 0 ? 0 : Metric.intervals) + Metric.interval(of: y[j])] += 1 }
    }
  }

  private func add(_ value: Double) {
    total += value
    count += 1
  }

  private func addMean(_ width: Int, _ value: (Int) -> Double) {
    var sum = 0.0
    for j in 0..<width { sum += value(j) }
    add(sum / Double(width))
  }

  /// Above which threshold an output lies, in Keras's arithmetic; one that is a threshold lies below it.
  private static func interval(of y: Float) -> Int {
    // Not `max` and `min`: NaN must become a number before it becomes an Int.
    let inside: Float = y > 0 ? (y < 1 ? y : 1) : 0
    return max(0, Int((inside * Float(intervals)).rounded(.up)) - 1)
  }

  /// The figure so far; 0 before the first element.
  public var result: Double {
    switch form {
    case .accuracy, .binaryAccuracy, .categoricalAccuracy, .sparseCategoricalAccuracy, .squaredError, .absoluteError:
      return count == 0 ? 0 : total / Double(count)
    case .precision: return ratio(truePositives, truePositives + falsePositives)
    case .recall: return ratio(truePositives, truePositives + falseNegatives)
    case .auc: return area
    }
  }

  private func ratio(_ part: Int, _ whole: Int) -> Double { whole == 0 ? 0 : Double(part) / Double(whole) }

  /// The area under the curve of true over false positive rate, by trapezoids between the thresholds.
  private var area: Double {
    guard let counts = counts?.pointer(to: Int.self) else { return 0 }
    var positives = 0
    var negatives = 0
    var area = 0.0
    for i in (0..<Metric.intervals).reversed() {
      let (above, here) = (positives, counts[i])
      let width = counts[Metric.intervals + i]
      area += Double(width) * (Double(above) + Double(here) / 2)
      positives += here
      negatives += width
    }
    return positives == 0 || negatives == 0 ? 0 : area / Double(positives) / Double(negatives)
  }
}
