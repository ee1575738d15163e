internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// The blocks of the Transformer, as stages of layers that there are: attention, a feed-forward network of two dense layers,
/// and around each of them a sum with what it reads and a normalization.
///
///     x + f(norm(x)) with norm_first, norm(x + f(x)) without; dropout behind f, and within the network between its layers
///
/// - Source: Vaswani et al. 2017; norm_first Xiong et al. 2020; PyTorch's `nn.TransformerEncoderLayer` and
///   `nn.TransformerDecoderLayer`.
struct TransformerBlock {
  private let units: Int
  private let heads: Int
  private let keyWidth: Int
  private let activation: UInt32
  private let rate: Double
  private let isNormFirst: Bool
  private let epsilon: Float
  private let shape: Shape

  private init(_ model: Construction) throws(LSTMError) {
    let fields = model.fields
    units = try fields.integer("units", 1...Fields.unlimited)
    heads = try fields.integer("num_heads", 1...Fields.unlimited)
    let keyWidth = try fields.optionalInteger("key_dim", 1...Fields.unlimited)
    activation = try Activation.readElementwise(fields, "activation", default: .relu)
    rate = try readRate(fields, "dropout", default: 0)
    isNormFirst = try fields.boolean("norm_first", default: false)
    epsilon = try readEpsilon(fields, default: 1e-5)
    shape = try AttentionLayer.shape(of: model.inputs[0], model)
    if keyWidth == nil, shape.last % heads != 0 {
      throw fields.error(
        "key_dim", "a positive integer, since \(shape.last) features are no multiple of \(heads) heads", nil)
    }
    self.keyWidth = keyWidth ?? shape.last / heads
  }

  /// Self-attention, then the network.
  static func makeEncoder(_ model: inout Construction) throws(LSTMError) {
    let block = try TransformerBlock(model)
    let options = try AttentionLayer.Options(model.fields, rate: block.rate)
    let attended = try block.attend(&model, options, model.inputs[0])
    _ = try block.feedForward(&model, attended)
  }

  /// Causal self-attention, attention to the second input, then the network.
  static func makeDecoder(_ model: inout Construction) throws(LSTMError) {
    let block = try TransformerBlock(model)
    let memory = model.inputs[1]
    let read = try AttentionLayer.shape(of: memory, model)
    let rate = block.rate
    let attended = try block.attend(&model, AttentionLayer.Options(rate: rate, isCausal: true), model.inputs[0])
    let crossed = try block.around(&model, attended, ("cross_gamma", "cross_beta")) {
      (model, x) throws(LSTMError) in
      let core = block.core(AttentionLayer.Options(rate: rate, isCausal: false))
      let layer = try AttentionLayer.multiHead(
        &model, core, .cross, hasBias: true, (block.shape, read, read), inputs: 2)
      return try model.append(layer, reading: x, memory)
    }
    _ = try block.feedForward(&model, crossed)
  }

  private func core(_ options: AttentionLayer.Options) -> AttentionCore {
    options.core(.product, heads: heads, keyWidth: keyWidth, valueWidth: keyWidth)
  }

  private func attend(
    _ model: inout Construction, _ options: AttentionLayer.Options, _ x: Construction.Source
  ) throws(LSTMError) -> Construction.Source {
    try around(&model, x, ("attention_gamma", "attention_beta")) { (model, x) throws(LSTMError) in
      let layer = try AttentionLayer.multiHead(
        &model, core(options), .own, hasBias: true, (shape, shape, shape), inputs: 1)
      return try model.append(layer, reading: x)
    }
  }

  private func feedForward(
    _ model: inout Construction, _ x: Construction.Source
  ) throws(LSTMError) -> Construction.Source {
    try around(&model, x, ("feed_forward_gamma", "feed_forward_beta")) { (model, x) throws(LSTMError) in
      let inside = try DenseLayer.make(
        &model, weights: "intermediate_weights", bias: "intermediate_bias", input: shape, units: units)
      var made = try model.append(inside, reading: x)
      let bent = ActivationLayer(
        .elementwise(activation), name: model.name, shape: inside.outputShape, isFast: model.usesFastActivations)
      made = try drop(&model, try model.append(bent, reading: made), inside.outputShape)
      let outside = try DenseLayer.make(
        &model, weights: "feed_forward_weights", bias: "feed_forward_bias", input: inside.outputShape,
        units: shape.last)
      return try model.append(outside, reading: made)
    }
  }

  /// What `body` makes of x, with what stands around it.
  private func around(
    _ model: inout Construction, _ x: Construction.Source, _ kinds: (StaticString, StaticString),
    _ body: (inout Construction, Construction.Source) throws(LSTMError) -> Construction.Source
  ) throws(LSTMError) -> Construction.Source {
    let read = isNormFirst ? try normalize(&model, x, kinds) : x
    let made = try drop(&model, try body(&model, read), shape)
    let sum = try model.append(MergeLayer(.add, name: model.name, shape: shape, inputs: 2), reading: x, made)
    return isNormFirst ? sum : try normalize(&model, sum, kinds)
  }

  private func normalize(
    _ model: inout Construction, _ x: Construction.Source, _ kinds: (StaticString, StaticString)
  ) throws(LSTMError) -> Construction.Source {
    let gamma = try model.parameter(kinds.0, Shape(shape.last))
    let beta = try model.parameter(kinds.1, Shape(shape.last))
    return try model.append(
      LayerNormalizationLayer(name: model.name, shape: shape, epsilon: epsilon, gamma: gamma, beta: beta), reading: x)
  }

  private func drop(
    _ model: inout Construction, _ x: Construction.Source, _ shape: Shape
  ) throws(LSTMError) -> Construction.Source {
    rate == 0 ? x : try model.append(DropoutLayer(rate: rate, name: model.name, shape: shape), reading: x)
  }
}
