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
  /// A bit for each input that is a sequence.
  private let sequences: UInt64
  /// Those that are taken apart, and their timesteps.
  private var whole: Examples
  private var steps = 0

  private init(_ model: Model, _ size: Int, _ sequences: UInt64) {
    (self.model, self.size, self.sequences) = (model, size, sequences)
    whole = Examples(x: Arrays(.none), y: Arrays(.none), weights: nil)
  }

  static func make(_ model: Model, _ goals: [Goal], size: Int) throws(LSTMError) -> Chunks {
    var sequences: UInt64 = 0
    for (i, entry) in model.ports.entries.enumerated() {
      if entry.input.hasTime { sequences |= 1 << UInt64(i) }
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
    return Chunks(model, size, sequences)
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
        x: try whole.x.slice(steps: range, of: steps, sequences, into: lists.x),
        y: try whole.y.slice(steps: range, of: steps, into: lists.y),
        weights: try whole.weights?.slice(steps: range, of: steps, into: lists.weights),
        classWeights: whole.classWeights))
  }

  /// Turns the reader back to all timesteps.
  func end(_ reader: ExampleReader) throws(LSTMError) { try reader.take(model, whole) }
}
