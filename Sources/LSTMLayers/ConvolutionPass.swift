internal import LSTMKernels
internal import LSTMTensors

/// A pass of a convolution over whole sequences, as products of matrices.
///
/// The steps of all rows stand one behind the other, time first, with zeros around them: so what the window's place k reads
/// for all outputs is one matrix, which begins k·dilation steps later than that of place 0, and all places together are one
/// product whose inner dimension comes in chunks. The gradient of the input is the same of the outputs' gradient, with the
/// window turned round.
struct ConvolutionPass {
  private let layer: ConvolutionLayer
  private let x: Signal
  private let y: Signal
  private let pass: Pass
  private let plan: Plan
  private let valid: ValidSteps
  private let window: Window

  /// Places in the workspace, and the steps of what lies there.
  struct Plan {
    let valid, inputs, outputs, gradients, inputGradients, count: Int
    /// Of the inputs with what stands around them.
    let inputSteps: Int
    /// Of the outputs' gradient, `stride` steps apart, with zeros around.
    let gradientSteps: Int

    init(_ layer: ConvolutionLayer, steps: Int, batch: Int, _ mode: Mode) {
      let window = layer.window
      let outputs = window.outputs(steps)
      inputSteps = (outputs - 1) * window.stride + window.span
      gradientSteps = max(inputSteps, window.before(steps) + steps) + window.span - 1
      let training = mode.keepsTape
      var plan = Carver()
      if mode == .stream {
        (valid, inputs, self.outputs, gradients, inputGradients, count) = (0, 0, 0, 0, 0, 0)
        return
      }
      valid = plan.take(ValidSteps.count(steps: steps, batch: batch))
      inputs = plan.take(inputSteps, batch, layer.features)
      self.outputs = plan.take(window.keepsTime ? outputs : 0, batch, layer.filters)
      gradients = plan.take(training ? gradientSteps : 0, batch, layer.filters)
      inputGradients = plan.take(training ? gradientSteps : 0, batch, layer.features)
      count = plan.count
    }
  }

  init(_ layer: ConvolutionLayer, _ x: Signal, _ y: Signal, _ pass: Pass) {
    (self.layer, self.x, self.y, self.pass, window) = (layer, x, y, pass, layer.window)
    plan = Plan(layer, steps: x.steps, batch: x.batch, pass.mode)
    valid = ValidSteps(x, pass.workspace + plan.valid)
  }

  private var batch: Int { x.batch }
  private var kernels: Kernels { pass.kernels }
  private var features: Int { layer.features }
  private var filters: Int { layer.filters }
  /// Whether outputs go elsewhere first, as those of steps without padding follow one another.
  private var scatters: Bool { window.keepsTime && x.mask != nil }

  /// The inputs with what stands around them; x itself where that is nothing.
  private var inputs: MutableFloats {
    valid.isWhole && window.padding == .valid ? x.values : pass.workspace + plan.inputs
  }

  func forward() {
    let own = pass.part.range(of: batch)
    valid.find(own)
    if inputs != x.values {
      for row in own { placeInputs(row) }
      pass.part.meet()
    }
    let to = scatters ? pass.workspace + plan.outputs : y.values
    forEachProduct(y.steps, stride: window.stride, of: y.starts) { (from, row, rows, step) in
      kernels.multiplyChunks(
        0..<layer.panels(kernels).count, rows: rows, depth: features, chunks: window.size, inputs + from * features,
        aRow: step * features, aChunk: window.dilation * batch * features, pass.packed, bDepth: features,
        layer.panels(kernels), into: to + row * filters, cRow: filters, start: layer.bias(pass))
    }
    guard x.mask != nil else { return }
    pass.part.meet()
    if scatters { for row in own { scatter(row, Floats(to), width: filters, to: y.values) } }
    clearPadding(y.values, width: filters, y.mask, pass.part.range(of: y.rows))
  }

  /// Puts the valid steps of a row among the inputs, one behind the other, and zeros around them.
  private func placeInputs(_ row: Int) {
    let count = valid.count(row)
    let before = window.before(count)
    for step in 0..<plan.inputSteps {
      let to = pass.workspace + plan.inputs + (step * batch + row) * features
      if step >= before, step < before + count {
        to.copy(from: x.values + valid.place(row, step - before) * features, count: features)
      } else {
        to.clear(features)
      }
    }
  }

  /// Copies what belongs to the valid steps of a row to where they stand.
  private func scatter(_ row: Int, _ from: Floats, width: Int, to: MutableFloats) {
    for i in 0..<valid.count(row) {
      (to + valid.place(row, i) * width).copy(from: from + (i * batch + row) * width, count: width)
    }
  }

  /// Calls `body` for products that together make `steps` steps of all rows, this worker's share: the row of the padded
  /// matrix from which they read, the first row that they make, how many, and how many rows of the padded matrix lie
  /// between those that two of them read.
  private func forEachProduct(
    _ steps: Int, stride: Int, of starts: UnsafePointer<Int>?, _ body: (Int, Int, Int, Int) -> Void
  ) {
    if starts == nil, stride == 1 || batch == 1 {
      let own = pass.part.range(of: steps * batch)
      return body(own.lowerBound * stride, own.lowerBound, own.count, stride)
    }
    for step in pass.part.range(of: steps) {
      let rows = starts.map { $0[step + 1] - $0[step] } ?? batch
      body(step * stride * batch, starts?[step] ?? step * batch, rows, 1)
    }
  }

  // MARK: Backward

  func backward(dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats) {
    clearPadding(dy, width: filters, y.mask, pass.part.range(of: y.rows))
    pass.part.meet()
    for row in pass.part.range(of: batch) { placeGradients(row, dy) }
    pass.part.meet()
    addWeightGradients(dy, gradients)
    if let dx { makeInputGradient(into: dx) }
  }

  private var outputGradients: MutableFloats { pass.workspace + plan.gradients }

  /// Puts the gradients of a row's outputs as far apart as the windows were, with zeros between and around them.
  private func placeGradients(_ row: Int, _ dy: MutableFloats) {
    let count = window.outputs(valid.count(row))
    for step in 0..<plan.gradientSteps {
      let to = outputGradients + (step * batch + row) * filters
      let (output, rest) = (step - (window.span - 1)).quotientAndRemainder(dividingBy: window.stride)
      if step >= window.span - 1, rest == 0, output < count {
        let place = window.keepsTime ? valid.place(row, output) : output * batch + row
        to.copy(from: dy + place * filters, count: filters)
      } else {
        to.clear(filters)
      }
    }
  }

  private func addWeightGradients(_ dy: MutableFloats, _ gradients: MutableFloats) {
    let panels = layer.panels(kernels)
    let own = pass.part.range(of: features)
    // The outputs' gradient without zeros between is in one piece as long as windows follow closely, else step by step.
    let isDense = window.stride == 1 || batch == 1
    let from = window.stride == 1 ? outputGradients + (window.span - 1) * batch * filters : dy
    let (calls, rows) = isDense ? (1, y.steps * batch) : (y.steps, batch)
    for place in 0..<window.size {
      let to = gradients + layer.parameters[0].offset + (place * features + own.lowerBound) * filters
      for call in 0..<calls {
        let first = (call * window.stride + place * window.dilation) * batch
        kernels.accumulateTransposed(
          0..<panels.count, rows: own.count, depth: rows, inputs + first * features + own.lowerBound,
          aRow: (isDense ? window.stride : 1) * features, from + call * batch * filters, bRow: filters,
          bPanel: panels.width, panels, into: to, cRow: filters)
      }
    }
    if layer.parameters.count > 1, pass.part.isFirst {
      kernels.addColumnSums(
        rows: y.rows, width: filters, dy, rowStride: filters, to: gradients + layer.parameters[1].offset)
    }
  }

  private func makeInputGradient(into dx: MutableFloats) {
    guard let weights = pass.packedBackward else { return }
    let (panels, columns) = (layer.panels(kernels), layer.inputPanels(kernels))
    // With padding in between, the gradients of steps that follow one another are made first, from the first window on.
    let first = x.mask == nil ? window.before(x.steps) : 0
    let to = x.mask == nil ? dx : pass.workspace + plan.inputGradients
    let steps = x.mask == nil ? x.steps : plan.gradientSteps - (window.span - 1)
    forEachProduct(steps, stride: 1, of: x.starts) { (from, row, rows, _) in
      kernels.multiplyChunks(
        0..<columns.count, rows: rows, depth: filters, chunks: window.size,
        outputGradients + (first * batch + from) * filters, aRow: filters,
        aChunk: window.dilation * batch * filters, weights, bDepth: panels.paddedColumns, columns,
        into: to + row * features, cRow: features, start: .zero)
    }
    guard let mask = x.mask else { return }
    pass.part.meet()
    for row in pass.part.range(of: batch) {
      let before = window.before(valid.count(row))
      scatter(row, Floats(to + before * batch * features), width: features, to: dx)
    }
    clearPadding(dx, width: features, mask, pass.part.range(of: x.rows))
  }
}
