public import LSTMTensors

/// All layer types. A new one is a file of its own and one line here: descriptions, files, summary and every property test
/// go by this table.
public enum Registry {
  public struct Entry {
    public let type: StaticString
    /// Reads the layer's fields and adds what it becomes.
    public let make: (inout Construction) throws(LSTMError) -> Void
  }

  /// Made on each use: a stored array would outlive the unloading of the library.
  public static var entries: [Entry] {
    [
      Entry(type: "text", make: TextLayer.make),
      Entry(type: "normalize", make: NormalizeLayer.make),
      Entry(type: "embedding", make: EmbeddingLayer.make),
      Entry(type: "lstm", make: RecurrentLayer.makeLSTM),
      Entry(type: "gru", make: RecurrentLayer.makeGRU),
      Entry(type: "bidirectional", make: BidirectionalLayer.make),
      Entry(type: "dense", make: DenseLayer.make),
      Entry(type: "dropout", make: DropoutLayer.make),
      Entry(type: "activation", make: ActivationLayer.make),
    ]
  }

  public static var types: [StaticString] { entries.map { $0.type } }
}
