internal import LSTMLayers
internal import LSTMModels
internal import LSTMTensors

/// Batches of long sequences in chunks of timesteps, one after the other: truncated backpropagation through time.
///
/// - Source: Williams & Peng 1990; with as many steps between updates as gradients go back, as PyTorch loops that detach the
///   state and Keras's `stateful` layers do.
final class Chunks {
  private let model: Model
  /// Timesteps of each but the last.
  private let size: Int
  private let lists = ArrayLists()
  /// Those that are taken apart, and their timesteps.
  private var whole: Examples
  private var steps = 0

  private init(_ model: Model, _ size: Int, _ whole: Examples) {
    (self.model, self.size, self.whole) = (model, size, whole)
  }

  static func make(_ model: Model, _ goals: [Goal], size: Int) throws(LSTMError) -> Chunks {
    for entry in model.ports.entries {
      if case .strings = entry.input {
        throw .unsupported("options.bptt_steps: expected 0 for a model that reads text, got \(size)")
      }
    }
    for (i, goal) in goals.enumerated() {
      guard model.ports.exits[i].hasTime else {
        throw .unsupported(
          "options.bptt_steps: expected outputs for each timestep, got \(model.ports.exits[i].shape.text)")
      }
      if goal.loss is SequenceLoss || goal.metrics.contains(where: { $0 is SequenceMetric }) {
        throw .unsupported("options.bptt_steps: expected no loss and no metric of whole sequences, got one")
      }
    }
    return Chunks(model, size, Examples(x: Arrays(.none), y: Arrays(.none), weights: nil))
  }

  /// Takes the examples of a reader apart.
  ///
  /// - Returns: how many chunks there are.
  func begin(_ reader: ExampleReader) throws(LSTMError) -> Int {
    whole = reader.examples
    steps = 0
    for (i, entry) in model.ports.entries.enumerated() where entry.input.hasTime {
      let own = whole.x[i].shape[1]
      guard steps == 0 || steps == own else {
        throw .argument(
          "options.bptt_steps: expected inputs of the same number of timesteps, got \(steps) and \(own)")
      }
      steps = own
    }
    return (steps - 1) / size + 1
  }

  /// Turns the reader to a chunk.
  func take(_ chunk: Int, _ reader: ExampleReader) throws(LSTMError) {
    let range = chunk * size..<min(steps, (chunk + 1) * size)
    try reader.take(
      model,
      Examples(
        x: try whole.x.map(into: lists.x) { (i, x) in
          model.ports.entries[i].input.hasTime ? x.slice(steps: range) : x
        },
        y: try whole.y.map(into: lists.y) { (_, y) in y.slice(steps: range) },
        weights: try whole.weights?.map(into: lists.weights) { (_, weights) in
          weights.shape.rank > 1 && weights.shape[1] == steps ? weights.slice(steps: range) : weights
        },
        classWeights: whole.classWeights))
  }

  /// Turns the reader back to all timesteps.
  func end(_ reader: ExampleReader) throws(LSTMError) { try reader.take(model, whole) }
}
