import LSTMModels
import LSTMTensors
import LSTMTestSupport
import Testing

@testable import LSTMTraining

/// Batches that come one by one.
@Suite struct SourceTests {
  private static let example = Example(
    "lstm", .series, "{'type': 'lstm', 'units': units, 'dropout': 0.3}, {'type': 'dense', 'units': 2}")

  private func model() throws -> (Model, TrainingData) {
    let example = SourceTests.example
    let model = try example.model(.wide, training: "{'loss': 'mse', 'optimizer': 'adam', 'metrics': ['mae']}")
    return (model, try TrainingData(model, example.sample(.wide, for: model, .ends)))
  }

  /// The same batches as those of arrays in their order.
  private func source(_ data: TrainingData, size: Int = 4, limit: Int = 0) -> CalledSource {
    CalledSource(limit: limit) { (_, batch) throws(LSTMError) in
      let count = data.examples.count
      return batch * size < count
        ? try data.examples.slice(batch * size..<min(count, (batch + 1) * size), withClassWeights: false) : nil
    }
  }

  private func fit(_ model: Model, _ source: CalledSource, _ change: (inout FitOptions) -> Void = { _ in }) throws
    -> (figures: [Double], finished: Bool)
  {
    var (options, figures) = (FitOptions(), [Double]())
    options.epochs = 2
    options.record = { columns in figures += (0..<columns.count).map { columns.values[$0] } }
    change(&options)
    let finished = try Fit.run(model, source, options)
    return (figures, finished)
  }

  @Test func equalsArrays() throws {
    let (arrays, data) = try model()
    let history = try LSTMTrainingTests.fit(arrays, data, epochs: 2) { options in
      options.shuffles = false
      options.validation = data.examples
    }
    let (model, _) = try model()
    let result = try fit(model, source(data)) { options in
      options.validation = data.examples
      options.batchSize = 4
    }
    #expect(result.finished)
    #expect(bits(model.weights) == bits(arrays.weights))
    #expect(bits(result.figures) == bits(history.epochs.flatMap { $0.map(\.value) }))
    let evaluated = try Evaluation.evaluate(model, source(data), threads: 1)
    let expected = try Evaluation.evaluate(arrays, data.examples, batchSize: 4, threads: 1)
    for i in 0..<2 { #expect(evaluated.values[i].bitPattern == expected.values[i].bitPattern) }
  }

  @Test func stepsOfAnEpoch() throws {
    let (model, data) = try model()
    var asked: [[UInt64]] = []
    let endless = CalledSource(limit: 3) { (epoch, batch) throws(LSTMError) in
      asked.append([epoch, UInt64(batch)])
      return data.examples
    }
    var batches = [Int]()
    _ = try fit(model, endless) { options in
      options.progress = { progress in
        if progress.event == .batchEnd { batches.append(progress.batches) }
        return true
      }
    }
    #expect(asked == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]])
    #expect(batches == [3, 3, 3, 3, 3, 3] && model.training.step == 6 && model.training.epoch == 2)
  }

  /// What the source throws comes out; the steps before it are kept, and training may go on from there.
  @Test func failures() throws {
    let (whole, data) = try model()
    let expected = try fit(whole, source(data))
    let (model, _) = try model()
    let failing = CalledSource(limit: 0) { (epoch, batch) throws(LSTMError) in
      if epoch == 0, batch == 2 { throw .source("broken") }
      return try data.examples.slice(batch * 4..<(batch + 1) * 4, withClassWeights: false)
    }
    #expect(spokenError { _ = try self.fit(model, failing) } == "source: broken")
    #expect(model.training.step == 2 && model.training.epoch == 0)
    let rest = try fit(model, source(data)) { $0.resumes = true }
    #expect(bits(model.weights) == bits(whole.weights))
    #expect(bits(rest.figures) == bits(expected.figures))
    let empty = CalledSource(limit: 0) { (_, _) throws(LSTMError) in nil }
    #expect(argumentError { _ = try self.fit(model, empty) } == "source: expected at least one batch, got none")
    #expect(
      argumentError { _ = try Evaluation.evaluate(model, empty, threads: 1) }
        == "source: expected at least one batch, got none")
  }
}
