internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

extension AttentionLayer {
  /// Shapes of queries, keys and values.
  typealias Shapes = (query: Shape, key: Shape, value: Shape)

  /// What an attention layer's description says beside its score.
  struct Options {
    let rate: Double
    let isCausal: Bool
    let window: Int?

    /// Within a layer whose description says it.
    init(rate: Double, isCausal: Bool) { (self.rate, self.isCausal, window) = (rate, isCausal, nil) }

    /// - Parameter rate: unless the description says it as 'dropout'.
    init(_ fields: Fields, rate: Double? = nil) throws(LSTMError) {
      if let rate { self.rate = rate } else { self.rate = try readRate(fields, "dropout", default: 0) }
      isCausal = try fields.boolean("causal", default: false)
      // The number of steps so far is kept as a float: see AttentionStream.
      window = try fields.optionalInteger("window", 1...1 << 23)
      if window != nil, !isCausal { throw fields.error("window", "null, since causal is false", nil) }
    }

    func core(_ score: AttentionCore.Score, heads: Int = 1, keyWidth: Int, valueWidth: Int) -> AttentionCore {
      AttentionCore(
        score: score, heads: heads, keyWidth: keyWidth, valueWidth: valueWidth, isCausal: isCausal, window: window,
        rate: rate)
    }
  }

  private static func shapes(_ model: Construction) throws(LSTMError) -> Shapes {
    let last = model.inputs.count - 1
    let query = try shape(of: model.inputs[0], model)
    let (value, key) = (try shape(of: model.inputs[min(1, last)], model), try shape(of: model.inputs[last], model))
    guard value[0] == key[0] else {
      throw .argument(
        "\(model.fields.path).inputs[2]: expected keys with as many timesteps as the values, \(value.text), got \(key.text)"
      )
    }
    return (query, key, value)
  }

  /// [timesteps, features]
  static func shape(of input: Construction.Source, _ model: Construction) throws(LSTMError) -> Shape {
    let shape = try model.values(of: input, rank: 2)
    guard shape.rank == 2 else {
      throw .argument("\(model.fields.path): expected an input of shape [timesteps, features], got \(shape.text)")
    }
    return shape
  }

  // MARK: Attention without projections

  /// softmax(c q kᵀ) v, c learned or 1; or with the score w Σ tanh(c (q + k)), w a learned number.
  ///
  /// - Source: Luong, Pham & Manning 2015; Keras's `Attention`.
  static func makeAttention(_ model: inout Construction) throws(LSTMError) {
    let fields = model.fields
    let isScaled = try fields.boolean("use_scale", default: false)
    let isAdditive = try fields.choice("score_mode", ["dot", "concat"], default: 0) == 1
    let options = try Options(fields)
    let shapes = try shapes(model, alike: true)
    let scale = isScaled ? try model.parameter("scale", Shape(1)) : nil
    let weight = isAdditive ? try model.parameter("score_weight", Shape(1)) : nil
    try append(&model, options, isAdditive ? .additive : .product, Scoring(scale: scale, weights: weight), shapes)
  }

  /// softmax(Σ w tanh(q + k)) v, w [features] learned or 1.
  ///
  /// - Source: Bahdanau, Cho & Bengio 2015; Keras's `AdditiveAttention`.
  static func makeAdditive(_ model: inout Construction) throws(LSTMError) {
    let isScaled = try model.fields.boolean("use_scale", default: true)
    let options = try Options(model.fields)
    let shapes = try shapes(model, alike: true)
    let weights = isScaled ? try model.parameter("score_weights", Shape(shapes.key.last)) : nil
    try append(&model, options, .additive, Scoring(weights: weights, isDrawn: true), shapes)
  }

  /// Shapes of which queries and keys have the same features.
  private static func shapes(
    _ model: Construction, alike: Bool
  ) throws(LSTMError) -> Shapes {
    let shapes = try shapes(model)
    guard shapes.query.last == shapes.key.last else {
      throw .argument(
        "\(model.fields.path).inputs[\(model.inputs.count - 1)]: expected keys of as many features as the queries, "
          + "\(shapes.query.last), got \(shapes.key.last)")
    }
    return shapes
  }

  private static func append(
    _ model: inout Construction, _ options: Options, _ score: AttentionCore.Score, _ scoring: Scoring,
    _ shapes: Shapes
  ) throws(LSTMError) {
    var parameters: [Parameter] = []
    if let scale = scoring.scale { parameters.append(scale) }
    if let weights = scoring.weights { parameters.append(weights) }
    let core = options.core(score, keyWidth: shapes.key.last, valueWidth: shapes.value.last)
    try model.append(
      AttentionLayer(
        core, scoring, nil, name: model.name, outputShape: shapes.query.replacingLast(shapes.value.last),
        parameters: parameters, inputs: model.inputs.count,
        widths: [shapes.query.last, shapes.key.last, shapes.value.last]))
  }

  // MARK: Multi-head attention

  /// Attention of several heads, each with projections of its own of queries, keys and values; what they give, side by
  /// side, is projected to the features of the queries.
  ///
  /// Shapes: query, key [inputs, heads · keyWidth], value [inputs, heads · valueWidth], output
  /// [heads · valueWidth, features]; a head's columns lie side by side.
  /// - Source: Vaswani et al. 2017; Keras's `MultiHeadAttention`.
  static func makeMultiHead(_ model: inout Construction) throws(LSTMError) {
    let fields = model.fields
    let heads = try fields.integer("num_heads", 1...Fields.unlimited)
    let keyWidth = try fields.integer("key_dim", 1...Fields.unlimited)
    let valueWidth = try fields.optionalInteger("value_dim", 1...Fields.unlimited) ?? keyWidth
    let hasBias = try fields.boolean("use_bias", default: true)
    let options = try Options(fields)
    let core = options.core(.product, heads: heads, keyWidth: keyWidth, valueWidth: valueWidth)
    let shapes = try shapes(model)
    try model.append(try multiHead(&model, core, .own, hasBias: hasBias, shapes, inputs: model.inputs.count))
  }

  /// The kinds of parameters of one layer, and where there is a second one beside it, those of that.
  enum Kinds {
    case own, cross

    var query: (StaticString, StaticString) {
      self == .own ? ("query_weights", "query_bias") : ("cross_query_weights", "cross_query_bias")
    }
    var key: (StaticString, StaticString) {
      self == .own ? ("key_weights", "key_bias") : ("cross_key_weights", "cross_key_bias")
    }
    var value: (StaticString, StaticString) {
      self == .own ? ("value_weights", "value_bias") : ("cross_value_weights", "cross_value_bias")
    }
    var output: (StaticString, StaticString) {
      self == .own ? ("output_weights", "output_bias") : ("cross_output_weights", "cross_output_bias")
    }
  }

  /// - Parameter inputs: how many it reads.
  static func multiHead(
    _ model: inout Construction, _ core: AttentionCore, _ kinds: Kinds, hasBias: Bool, _ shapes: Shapes, inputs: Int
  ) throws(LSTMError) -> AttentionLayer {
    func dense(
      _ model: inout Construction, _ kinds: (StaticString, StaticString), _ input: Shape, _ units: Int
    ) throws(LSTMError) -> DenseLayer {
      try DenseLayer.make(&model, weights: kinds.0, bias: hasBias ? kinds.1 : nil, input: input, units: units)
    }
    let (query, key, value) = shapes
    let keys = try Size.product(core.heads, core.keyWidth)
    let values = try Size.product(core.heads, core.valueWidth)
    let projections = Projections(
      query: try dense(&model, kinds.query, query, keys), key: try dense(&model, kinds.key, key, keys),
      value: try dense(&model, kinds.value, value, values),
      output: try dense(&model, kinds.output, query.replacingLast(values), query.last))
    var parameters: [Parameter] = []
    try Memory.reserve(16 * MemoryLayout<Parameter>.stride)
    for i in 0..<4 { parameters += projections.layer(i).parameters }
    return AttentionLayer(
      core, Scoring(fixedScale: 1 / Float(core.keyWidth).squareRoot()), projections, name: model.name,
      outputShape: query, parameters: parameters, inputs: inputs, widths: [query.last, key.last, value.last])
  }
}
