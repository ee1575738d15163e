internal import LSTMDescription
public import LSTMKernels
public import LSTMTensors

/// Row `token` of a table for each token. Shapes: tokens [batch, timesteps], table [vocabulary, units],
/// y [batch, timesteps, units].
public final class EmbeddingLayer: Layer {
  public let vocabulary: Int
  /// Token 0 is padding: whoever feeds the tokens makes the mask.
  public let masksZero: Bool
  private let units: Int

  private init(name: String, outputShape: Shape, table: Parameter, masksZero: Bool) {
    vocabulary = table.shape[0]
    units = table.shape[1]
    self.masksZero = masksZero
    super.init(name: name, outputShape: outputShape, parameters: [table])
  }

  static func make(_ model: inout Construction) throws(LSTMError) {
    let fields = model.fields
    // Token indices are 32-bit numbers.
    let vocabulary = try fields.integer("vocabulary", 1...Int(Int32.max))
    let units = try fields.integer("units", 1...Fields.unlimited)
    let masksZero = try fields.boolean("mask_zero", default: false)
    let tokens = try model.tokens()
    if case .tokens(_, let count) = model.flow, count > vocabulary {
      throw .argument(
        "\(fields.path).vocabulary: expected at least \(count), the number of tokens of the layer before"
          + ", got \(vocabulary)")
    }
    let table = try model.parameter("weights", Shape(vocabulary, units), lines: .rows)
    try model.append(
      EmbeddingLayer(name: model.name, outputShape: Shape(tokens[0], units), table: table, masksZero: masksZero))
  }

  public override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    guard let tokens = x.tokens else { return }
    let table = pass.weights + parameters[0].offset
    let own = pass.part.range(of: x.rows)
    pass.kernels.gather(
      own.count, tokens + own.lowerBound, width: units, table, to: y.values + own.lowerBound * units)
  }

  public override var hasSparseGradient: Bool { true }

  public override func addRows(
    _ rows: Range<Int>, _ x: Signal, dy: Floats, gradients: MutableFloats, _ kernels: Kernels
  ) {
    guard let tokens = x.tokens else { return }
    kernels.scatterAdd(
      x.rows, tokens, mask: x.mask, rows: rows, width: units, dy,
      to: gradients + parameters[0].offset + rows.lowerBound * units)
  }

  /// Uniform in ±0.05, as Keras's "uniform".
  public override func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {
    var sequence = random(0)
    uniform(weights + parameters[0].offset, count: parameters[0].count, limit: 0.05, &sequence)
  }
}
