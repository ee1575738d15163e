internal import CLSTMKernels
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// y = x·W + b on the last axis. Shapes: x [..., inputs], W [inputs, units], b [units], y [..., units].
///
/// An activation becomes a layer of its own behind it, so that a loss may begin at the logits.
final class DenseLayer: Layer {
  private let inputs: Int
  private let units: Int
  private let hasBias: Bool

  private init(name: String, outputShape: Shape, parameters: [Parameter], inputs: Int) {
    self.inputs = inputs
    units = outputShape.last
    hasBias = parameters.count > 1
    super.init(name: name, outputShape: outputShape, parameters: parameters)
  }

  static func make(_ model: inout Construction) throws(LSTMError) {
    let fields = model.fields
    let units = try fields.integer("units", 1...Fields.unlimited)
    let activation = try Activation.read(fields, "activation", default: .linear)
    let hasBias = try fields.boolean("use_bias", default: true)
    let layer = try make(
      &model, weights: "weights", bias: hasBias ? "bias" : nil, input: try model.values(), units: units)
    try model.append(layer)
    if !(activation == .linear) {
      try model.append(
        ActivationLayer(activation, name: model.name, shape: layer.outputShape, isFast: model.usesFastActivations))
    }
  }

  /// A product, by itself or as a part of another layer, with these kinds of its parameters.
  static func make(
    _ model: inout Construction, weights: StaticString, bias: StaticString?, input: Shape, units: Int
  ) throws(LSTMError) -> DenseLayer {
    var parameters = [try model.parameter(weights, Shape(input.last, units), lines: .columns)]
    if let bias { parameters.append(try model.parameter(bias, Shape(units))) }
    return DenseLayer(
      name: model.name, outputShape: input.replacingLast(units), parameters: parameters, inputs: input.last)
  }

  private func panels(_ kernels: Kernels) -> Panels { Panels(columns: units, lanes: kernels.lanes) }

  /// Whether the products are made in chains side by side: a step of a stream that ends in a few numbers would spend its
  /// time waiting for one after the other. Of any set of kernels at most one panel is narrow.
  private func isNarrow(_ kernels: Kernels) -> Bool { units <= 16 && kernels.weights != .int8 }

  /// Whether the products read the weights themselves, which are one column. Then the bias alone is packed.
  private func isColumn(_ kernels: Kernels) -> Bool { units == 1 && isNarrow(kernels) }

  /// How the weights are packed: those of few units as floats, whose products are narrow ones.
  private func packing(_ kernels: Kernels) -> WeightFormat { isNarrow(kernels) ? .float32 : kernels.weights }
  private func inputPanels(_ kernels: Kernels) -> Panels { Panels(columns: inputs, lanes: kernels.lanes) }

  /// Weights, then the bias as one more row.
  override func packedCount(_ kernels: Kernels) -> Int {
    Carver.product(packedDepth(kernels) + 1, panels(kernels).paddedColumns)
  }
  private func packedDepth(_ kernels: Kernels) -> Int {
    isColumn(kernels) ? 0 : packing(kernels).packedRows(inputs)
  }

  override func pack(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    let panels = panels(kernels)
    if !isColumn(kernels) {
      panels.pack(
        part.range(of: panels.count), rows: inputs, weights + parameters[0].offset, rowStride: units,
        depth: packedDepth(kernels), packing(kernels), into: packed, kernels)
    }
    let bias = packed + panels.packedCount(depth: packedDepth(kernels))
    guard part.isFirst else { return }
    if hasBias {
      panels.pack(
        0..<panels.count, rows: 1, weights + parameters[1].offset, rowStride: units, depth: 1, into: bias,
        kernels)
    } else {
      bias.clear(panels.paddedColumns)
    }
  }

  override func packedBackwardCount(_ kernels: Kernels) -> Int {
    hasTrainedInput ? Carver.product(panels(kernels).paddedColumns, inputPanels(kernels).paddedColumns) : 0
  }

  override func packBackward(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    guard hasTrainedInput else { return }
    let columns = inputPanels(kernels)
    columns.packTransposed(
      part.range(of: columns.count), weights + parameters[0].offset, rowStride: units, rows: panels(kernels),
      into: packed, kernels)
  }

  /// With 8-bit weights, the inputs rounded and the scales of their rows.
  override func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    if kernels.weights != .int8 { return 0 }
    return Carver.product(rowCount(steps, batch), RoundedRows.count(width: inputs) + 1)
  }
  private func rowCount(_ steps: Int, _ batch: Int) -> Int {
    Carver.product(Carver.product(steps, batch), outputWidth / units)
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    let kernels = pass.kernels
    let (panels, depth) = (panels(kernels), packedDepth(kernels))
    let own = pass.part.range(of: x.count / inputs)
    let (from, to) = (x.values + own.lowerBound * inputs, y.values + own.lowerBound * units)
    var rounded: RoundedRows?
    if kernels.weights == .int8 {
      let first = own.lowerBound
      let scales = pass.workspace + rowCount(x.steps, x.batch) * RoundedRows.count(width: inputs) + first
      let rows = RoundedRows(
        pass.workspace + first * RoundedRows.count(width: inputs), scales: scales, width: inputs)
      kernels.round(0..<own.count, width: inputs, from, xRow: inputs, to: rows)
      rounded = rows
    }
    kernels.multiply(
      0..<panels.count, rows: own.count, depth: inputs, from, aRow: inputs, factors(pass), packedDepth: depth, panels,
      packing(kernels), rounded: rounded, isNarrow: isNarrow(kernels), bRow: isColumn(kernels) ? 1 : nil, into: to,
      cRow: units,
      start: .row(pass.packed + panels.packedCount(depth: depth)))
  }

  /// What the products read.
  private func factors(_ pass: Pass) -> Floats {
    isColumn(pass.kernels) ? pass.weights + parameters[0].offset : pass.packed
  }

  override func prepareStep(_ x: Signal, into y: Signal, _ pass: Pass) -> LayerStep {
    let panels = panels(pass.kernels)
    guard x.count == inputs, panels.count == 1, pass.kernels.weights != .int8 else {
      return super.prepareStep(x, into: y, pass)
    }
    return DenseStep(
      x, y, pass, panels, packing(pass.kernels), factors(pass), isColumn: isColumn(pass.kernels),
      packedDepth: packedDepth(pass.kernels), isNarrow: isNarrow(pass.kernels))
  }

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    let panels = panels(pass.kernels)
    let rows = x.count / inputs
    // Each worker makes some rows of the weights' gradient.
    let ownInputs = pass.part.range(of: inputs)
    pass.kernels.accumulateTransposed(
      0..<panels.count, rows: ownInputs.count, depth: rows, x.values + ownInputs.lowerBound, aRow: inputs, dy,
      bRow: units, bPanel: panels.width, panels,
      into: gradients + parameters[0].offset + ownInputs.lowerBound * units, cRow: units)
    if hasBias, pass.part.isFirst {
      pass.kernels.addColumnSums(
        rows: rows, width: units, dy, rowStride: units, to: gradients + parameters[1].offset)
    }
    if let dx, let weights = pass.packedBackward {
      let own = pass.part.range(of: rows)
      let columns = inputPanels(pass.kernels)
      pass.kernels.multiply(
        0..<columns.count, rows: own.count, depth: units, dy + own.lowerBound * units, aRow: units, weights,
        packedDepth: panels.paddedColumns, columns, into: dx + own.lowerBound * inputs, cRow: inputs, start: .zero)
    }
  }

  override func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {
    var sequence = random(0)
    glorotUniform(weights + parameters[0].offset, rows: inputs, columns: units, &sequence)
  }
}

/// A row times a matrix of one panel: one call of the kernel.
private final class DenseStep: LayerStep {
  private let kernels: Kernels
  private var product = lstm_product()
  /// The matrix is not packed.
  private let isColumn: Bool

  init(
    _ x: Signal, _ y: Signal, _ pass: Pass, _ panels: Panels, _ format: WeightFormat, _ factors: Floats,
    isColumn: Bool, packedDepth: Int, isNarrow: Bool
  ) {
    (kernels, self.isColumn) = (pass.kernels, isColumn)
    product.narrow = isNarrow ? 1 : 0
    (product.rows, product.depth, product.chunks) = (1, x.count, 1)
    (product.a, product.a_row, product.a_step) = (Floats(x.values), x.count, 1)
    (product.b, product.b_row) = (factors, isColumn ? 1 : panels.width)
    product.format = kernels.code(format)
    product.setResult(y.values, row: y.count, panels, 0)
    product.begin(.row(pass.packed + panels.packedCount(depth: packedDepth)), 0, panels)
    // Signals have room for whole vectors (see Carver), and the padding of the weights is zero.
    let lanes = kernels.lanes
    product.valid = (
      product.valid.0 > 0 ? lanes : 0, product.valid.1 > 0 ? lanes : 0, product.valid.2 > 0 ? lanes : 0,
      product.valid.3 > 0 ? lanes : 0
    )
  }

  override func run() { kernels.product(&product) }

  override func move(_ distance: WeightsDistance) {
    product.b += isColumn ? distance.parameters : distance.packed
    product.first += distance.packed
  }
}
