internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// y[t] = Σ_k x[t·strides + k·dilation_rate - before]·W[k] + b, with zeros before the first step and after the last.
///
/// - Shapes: x [batch, timesteps, features], W [kernel_size, features, filters], b [filters], y [batch, outputs, filters].
/// - A row is convolved as if its padding were not there: its valid steps follow one another, and it has as many outputs as
///   it would have alone.
/// - Source: Waibel et al. 1989; Keras's `Conv1D`.
final class ConvolutionLayer: Layer {
  let window: Window
  let features: Int
  let filters: Int
  private let hasBias: Bool

  private init(_ window: Window, name: String, outputShape: Shape, parameters: [Parameter]) {
    self.window = window
    features = parameters[0].shape[1]
    filters = parameters[0].shape[2]
    hasBias = parameters.count > 1
    super.init(name: name, outputShape: outputShape, parameters: parameters)
  }

  static func make(_ model: inout Construction) throws(LSTMError) {
    let fields = model.fields
    let filters = try fields.integer("filters", 1...Fields.unlimited)
    let window = try Window.ofConvolution(fields)
    let activation = try Activation.read(fields, "activation", default: .linear)
    let hasBias = try fields.boolean("use_bias", default: true)
    let shape = try window.inputShape(model)
    var parameters = [try model.parameter("weights", Shape(window.size, shape.last, filters))]
    if hasBias { parameters.append(try model.parameter("bias", Shape(filters))) }
    let output = window.outputShape(shape, features: filters)
    try model.append(ConvolutionLayer(window, name: model.name, outputShape: output, parameters: parameters))
    if !(activation == .linear) {
      try model.append(
        ActivationLayer(activation, name: model.name, shape: output, isFast: model.usesFastActivations))
    }
  }

  override func outputSteps(_ steps: Int) -> Int { window.outputs(steps) }
  override var acceptedSteps: ClosedRange<Int> { window.acceptedSteps }
  override var keepsTime: Bool { window.keepsTime }
  override var allowsTrimming: Bool { keepsTime }
  override var needsFuture: StaticString? { window.needsFuture }
  override var changesMask: Bool { !keepsTime }

  override func outputMask(of x: Signal, _ memory: UnsafeMutablePointer<UInt8>) -> UnsafePointer<UInt8>? {
    keepsTime ? x.mask : ValidSteps.mask(of: x, steps: outputSteps(x.steps), memory) { window.outputs($0) }
  }

  // MARK: Weights

  func panels(_ kernels: Kernels) -> Panels { Panels(columns: filters, lanes: kernels.lanes) }
  func inputPanels(_ kernels: Kernels) -> Panels { Panels(columns: features, lanes: kernels.lanes) }
  /// Rows of the packed weights: the inputs of all places of the window.
  var depth: Int { window.size * features }

  /// Weights, then the bias as one more row.
  override func packedCount(_ kernels: Kernels) -> Int {
    Carver.product(Carver.product(window.size, features) + 1, panels(kernels).paddedColumns)
  }

  override func pack(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    let panels = panels(kernels)
    panels.pack(
      part.range(of: panels.count), rows: depth, weights + parameters[0].offset, rowStride: filters, depth: depth,
      into: packed, kernels)
    guard part.isFirst else { return }
    let bias = packed + panels.packedCount(depth: depth)
    if hasBias {
      panels.pack(
        0..<panels.count, rows: 1, weights + parameters[1].offset, rowStride: filters, depth: 1, into: bias, kernels)
    } else {
      bias.clear(panels.paddedColumns)
    }
  }

  /// The transposes for each place of the window, the last place first.
  override func packedBackwardCount(_ kernels: Kernels) -> Int {
    Carver.product(window.size, Carver.product(panels(kernels).paddedColumns, inputPanels(kernels).paddedColumns))
  }

  override func packBackward(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    let (rows, columns) = (panels(kernels), inputPanels(kernels))
    let count = rows.paddedColumns * columns.width
    for panel in part.range(of: columns.count) {
      for place in 0..<window.size {
        let source = weights + parameters[0].offset + (window.size - 1 - place) * features * filters
        // The panel is put where this place has it, though the matrix alone would have it elsewhere.
        columns.packTransposed(
          panel..<panel + 1, source, rowStride: filters, rows: rows,
          into: packed + (panel * window.size + place) * count - panel * count, kernels)
      }
    }
  }

  override func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {
    var sequence = random(0)
    let (inputs, outputs) = (Double(window.size) * Double(features), Double(window.size) * Double(filters))
    uniform(
      weights + parameters[0].offset, count: parameters[0].count, limit: glorotLimit(inputs, outputs), &sequence)
  }

  // MARK: Passes

  override func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    ConvolutionPass.Plan(self, steps: steps, batch: batch, mode).count
  }

  /// The inputs that the next step needs, the earliest first.
  override func statePieces(_ kernels: Kernels) -> [StatePiece] {
    [StatePiece(blocks: window.span - 1, lanes: features, meaningful: (window.span - 1) * features)]
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    if let state = pass.state {
      step(x, into: y, state: state, pass)
    } else {
      ConvolutionPass(self, x, y, pass).forward()
    }
  }

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    ConvolutionPass(self, x, y, pass).backward(dy: dy, into: dx, gradients: gradients)
  }

  func bias(_ pass: Pass) -> Start {
    .row(pass.packed + panels(pass.kernels).packedCount(depth: depth))
  }

  /// One step of a stream: the last place of the window reads x, those before it the state.
  private func step(_ x: Signal, into y: Signal, state: MutableFloats, _ pass: Pass) {
    guard pass.part.isFirst else { return }
    let (kernels, panels, row) = (pass.kernels, panels(pass.kernels), x.batch * features)
    let own = 0..<panels.count
    var start = bias(pass)
    if window.size > 1 {
      kernels.multiplyChunks(
        own, rows: x.batch, depth: features, chunks: window.size - 1, state, aRow: features,
        aChunk: window.dilation * row, pass.packed, bDepth: features, bPanel: depth, panels, into: y.values,
        cRow: filters, start: start)
      start = .accumulate
    }
    kernels.multiply(
      own, rows: x.batch, depth: features, x.values, aRow: features,
      pass.packed + (window.size - 1) * features * panels.width, packedDepth: depth, panels, into: y.values,
      cRow: filters, start: start)
    guard let mask = x.mask else {
      if window.span > 1 {
        state.copy(from: state + row, count: (window.span - 2) * row)
        (state + (window.span - 2) * row).copy(from: x.values, count: row)
      }
      return
    }
    clearPadding(y.values, width: filters, mask, 0..<x.batch)
    for row in 0..<x.batch where mask[row] != 0 { remember(x.values, row, of: x.batch, state) }
  }

  /// Moves one row of the state on.
  private func remember(_ x: Floats, _ row: Int, of batch: Int, _ state: MutableFloats) {
    for i in 0..<window.span - 1 {
      let next = i + 2 < window.span ? Floats(state + (i + 1) * batch * features) : x
      (state + (i * batch + row) * features).copy(from: next + row * features, count: features)
    }
  }
}
