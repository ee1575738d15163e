import LSTMKernels
import LSTMModels
import LSTMTestSupport
import LSTMTensors
import Testing

@testable import LSTMTraining

/// Training that was saved and loaded goes on as if it had never stopped, to the last bit.
@Suite struct ResumeTests {
  private static let optimizers = [
    "'sgd'", "{'type': 'sgd', 'momentum': 0.9, 'nesterov': true, 'weight_decay': 0.01}", "'rmsprop'",
    "{'type': 'rmsprop', 'momentum': 0.5, 'centered': true, 'clipnorm': 0.5}", "'adam'",
    "{'type': 'adam', 'amsgrad': true, 'global_clipnorm': 0.1}", "'adamw'", "'adagrad'",
  ]

  private func check(_ example: Example, _ kernels: Kernels, _ optimizer: String) throws {
    let training = "{'loss': 'mse', 'optimizer': \(optimizer), 'metrics': ['mae']}"
    func model() throws -> Model { try example.model(.wide, kernels, training: training) }
    let whole = try model()
    let data = try TrainingData(whole, example.sample(.wide, for: whole, example.canPad ? .gaps : .none))
    let start = bits(whole.weights)
    let history = try fit(whole, data, epochs: 3)
    #expect(bits(whole.weights) != start)

    let first = try model()
    let begun = try fit(first, data, epochs: 2)
    let resumed = try loadModel(try first.saved(), kernels)
    let ended = try fit(resumed, data, epochs: 1)
    #expect(bits(resumed.weights) == bits(whole.weights))
    #expect(
      bits((begun.epochs + ended.epochs).flatMap { $0.map(\.value) })
        == bits(history.epochs.flatMap { $0.map(\.value) }))
    #expect(try resumed.saved() == whole.saved())
    // And the same model trained again from the start.
    let again = try model()
    try fit(again, data, epochs: 3)
    #expect(try again.saved() == whole.saved())
    // Without the optimizer's state it is another training.
    if optimizer.contains("adam") {
      let afresh = try loadModel(try first.saved(weightsOnly: true), kernels)
      #expect(bits(afresh.weights) == bits(first.weights))
      try fit(afresh, data, epochs: 1)
      #expect(bits(afresh.weights) != bits(whole.weights))
    }
  }

  @Test(arguments: optimizers, kernelSets())
  func everyOptimizer(_ optimizer: String, _ kernels: Kernels) throws {
    let example = Example(
      "lstm", .series,
      "{'type': 'lstm', 'units': units, 'dropout': 0.2}, {'type': 'dropout', 'rate': 0.3}, {'type': 'dense', 'units': 2}"
    )
    try check(example, kernels, optimizer)
  }

  @Test(arguments: examples)
  func everyLayer(_ example: Example) throws { try check(example, fastestKernels, "'adam'") }

  /// The learning rate of the moment is part of what is saved, to the last bit.
  @Test func learningRateIsKept() throws {
    let model = try makeModel(
      "{'input_shape': [1], 'layers': [{'type': 'dense', 'units': 1}], 'training': {'loss': 'mse', 'optimizer': 'sgd'}}"
    )
    model.training.learningRate = 0.1 + 0.2
    #expect(try loadModel(try model.saved()).training.learningRate.bitPattern == (0.1 + 0.2).bitPattern)
  }
}
