public import LSTMTensors

/// All layer types. A new one is a file of its own and one line here: descriptions, files, summary and every property test
/// go by this table.
public enum Registry {
  public struct Entry {
    public let type: StaticString
    /// How many inputs it takes.
    public let inputs: ClosedRange<Int>
    /// Reads the layer's fields and adds what it becomes.
    public let make: (inout Construction) throws(LSTMError) -> Void

    init(
      type: StaticString, inputs: ClosedRange<Int> = 1...1,
      make: @escaping (inout Construction) throws(LSTMError) -> Void
    ) {
      (self.type, self.inputs, self.make) = (type, inputs, make)
    }
  }

  /// As many inputs as there may be.
  public static var several: ClosedRange<Int> { 2...64 }

  /// Made on each use: a stored array would outlive the unloading of the library.
  public static var entries: [Entry] {
    [
      Entry(type: "text", make: TextLayer.make),
      Entry(type: "normalize", make: NormalizeLayer.make),
      Entry(type: "layer_normalization", make: LayerNormalizationLayer.make),
      Entry(type: "batch_normalization", make: BatchNormalizationLayer.make),
      Entry(type: "group_normalization", make: GroupNormalizationLayer.make),
      Entry(type: "masking", make: MaskingLayer.make),
      Entry(type: "conv1d", make: ConvolutionLayer.make),
      Entry(type: "max_pooling", make: { (model) throws(LSTMError) in try PoolingLayer.make(&model, isMax: true) }),
      Entry(
        type: "average_pooling", make: { (model) throws(LSTMError) in try PoolingLayer.make(&model, isMax: false) }),
      Entry(
        type: "global_max_pooling", make: { (model) throws(LSTMError) in try GlobalPoolingLayer.make(&model, .max) }),
      Entry(
        type: "global_average_pooling",
        make: { (model) throws(LSTMError) in try GlobalPoolingLayer.make(&model, .average) }),
      Entry(type: "last", make: { (model) throws(LSTMError) in try GlobalPoolingLayer.make(&model, .last) }),
      Entry(type: "flatten", make: ReshapeLayer.makeFlatten),
      Entry(type: "reshape", make: ReshapeLayer.makeReshape),
      Entry(type: "repeat_vector", make: RepeatLayer.make),
      Entry(type: "slice", make: TimeSliceLayer.makeSlice),
      Entry(type: "cropping", make: TimeSliceLayer.makeCropping),
      Entry(type: "zero_padding", make: TimeSliceLayer.makeZeroPadding),
      Entry(type: "spatial_dropout", make: SpatialDropoutLayer.make),
      Entry(type: "gaussian_noise", make: NoiseLayer.makeNoise),
      Entry(type: "gaussian_dropout", make: NoiseLayer.makeDropout),
      Entry(type: "positional_encoding", make: PositionLayer.makeEncoding),
      Entry(type: "position_embedding", make: PositionLayer.makeEmbedding),
      Entry(type: "embedding", make: EmbeddingLayer.make),
      Entry(type: "lstm", inputs: 1...3, make: RecurrentLayer.makeLSTM),
      Entry(type: "gru", inputs: 1...2, make: RecurrentLayer.makeGRU),
      Entry(type: "simple_rnn", inputs: 1...2, make: RecurrentLayer.makeSimple),
      Entry(type: "min_gru", make: MinimalLayer.makeGRU),
      Entry(type: "min_lstm", make: MinimalLayer.makeLSTM),
      Entry(type: "slstm", make: SLSTMLayer.make),
      Entry(type: "mlstm", make: MLSTMLayer.make),
      Entry(type: "bidirectional", make: BidirectionalLayer.make),
      Entry(type: "dense", make: DenseLayer.make),
      Entry(type: "dropout", make: DropoutLayer.make),
      Entry(type: "activation", make: ActivationLayer.make),
      Entry(type: "crf", make: CRFLayer.make),
      Entry(type: "attention", inputs: 2...3, make: AttentionLayer.makeAttention),
      Entry(type: "additive_attention", inputs: 2...3, make: AttentionLayer.makeAdditive),
      Entry(type: "multi_head_attention", inputs: 1...3, make: AttentionLayer.makeMultiHead),
      Entry(type: "transformer_encoder", make: TransformerBlock.makeEncoder),
      Entry(type: "transformer_decoder", inputs: 2...2, make: TransformerBlock.makeDecoder),
      Entry(type: "concatenate", inputs: several, make: ConcatenateLayer.make),
      Entry(type: "add", inputs: several, make: { (model) throws(LSTMError) in try MergeLayer.make(&model, .add) }),
      Entry(
        type: "subtract", inputs: 2...2, make: { (model) throws(LSTMError) in try MergeLayer.make(&model, .subtract) }),
      Entry(
        type: "multiply", inputs: several, make: { (model) throws(LSTMError) in try MergeLayer.make(&model, .multiply) }
      ),
      Entry(
        type: "average", inputs: several, make: { (model) throws(LSTMError) in try MergeLayer.make(&model, .average) }),
      Entry(
        type: "maximum", inputs: several, make: { (model) throws(LSTMError) in try MergeLayer.make(&model, .maximum) }),
      Entry(
        type: "minimum", inputs: several, make: { (model) throws(LSTMError) in try MergeLayer.make(&model, .minimum) }),
    ]
  }

  public static var types: [StaticString] { entries.map { $0.type } }
}
