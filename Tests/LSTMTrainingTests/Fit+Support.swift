import LSTMDescription
import LSTMLayers
import LSTMModels
import LSTMTensors
import LSTMTestSupport

@testable import LSTMTraining

/// Samples with targets, in memory that lives as long as this.
final class TrainingData {
  private let memory: [Sample]
  private let classWeights: Numbers<Double>?
  let examples: Examples

  convenience init(_ x: Sample, _ y: Sample, weights: [Float]? = nil, classWeights: [Double]? = nil) {
    self.init(x, y, weights: weights.map { Sample.numbers($0, Shape($0.count)) }, classWeights: classWeights)
  }

  init(_ x: Sample, _ y: Sample, weights: Sample?, classWeights: [Double]? = nil) {
    memory = [x, y] + (weights.map { [$0] } ?? [])
    self.classWeights = classWeights.map { Numbers($0) }
    examples = Examples(
      x: x.view, y: y.view, weights: weights?.view,
      classWeights: self.classWeights.map { UnsafeBufferPointer(start: $0.start, count: $0.count) })
  }

  /// Random targets from 0 to 1 for a sample's outputs, or classes of those that a chain decides.
  convenience init(_ model: Model, _ x: Sample) throws {
    var random = Generator(21)
    let shape = try model.outputShape(for: Arrays(x.view))
    if model.stages.last?.chain != nil {
      let classes = random.integers(shape[0] * shape[1], in: 0..<shape[2]).map { Float($0) }
      self.init(x, Sample.numbers(classes, Shape(shape[0], shape[1])))
    } else {
      self.init(x, Sample.numbers(random.floats(try shape.count(), in: 0...1), shape))
    }
  }
}

/// One epoch's figures.
typealias Figures = [(name: String, value: Double)]

struct History {
  var epochs: [Figures] = []
  var finished = false

  func column(_ name: String) -> [Double] { epochs.compactMap { $0.first { $0.name == name }?.value } }
}

/// Trains, and gathers the figures of each epoch.
@discardableResult
func fit(_ model: Model, _ data: TrainingData, epochs: Int, _ change: (inout FitOptions) -> Void = { _ in }) throws
  -> History
{
  var history = History()
  var options = FitOptions()
  (options.epochs, options.batchSize) = (epochs, 4)
  options.record = { columns in
    history.epochs.append((0..<columns.count).map { (String(cString: columns.names[$0]!), columns.values[$0]) })
  }
  change(&options)
  history.finished = try Fit.run(model, data.examples, options)
  withExtendedLifetime(data) {}
  return history
}
