internal import CLSTMKernels
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// LSTM with exponential gates and a normalizer n; m keeps the exponentials in range and changes no output.
///
///     i, f, z, o = x·W + b + h·R        m′ = max(ln σ(f) + m, i)
///     i′ = exp(i - m′)    f′ = exp(ln σ(f) + m - m′)
///     c′ = f′⊙c + i′⊙tanh z    n′ = f′⊙n + i′    h′ = σ(o)⊙c′/n′
/// - Shapes: R is a block for each head, recurrent_weights [units, 4·units/heads]: the rows of a head are its own units,
///   the columns these units of the gates i f z o.
/// - Layout: states `[row][units]` each; those after all steps in training, behind those before the first.
/// - Source: Beck et al. 2024, "xLSTM: Extended Long Short-Term Memory", equations 8 to 17.
final class SLSTMLayer: ScanLayer {
  private let heads: Int
  private let forgetBias: ForgetBias
  /// Of a head.
  private let width: Int

  static func make(_ model: inout Construction) throws(LSTMError) {
    let fields = model.fields
    let options = try ScanOptions(fields)
    let heads = try readHeads(fields, units: options.units)
    let forgetBias = try ForgetBias.read(fields, default: .powerlaw)
    let columns = try Size.product(4, options.units)
    let (projection, timesteps) = try project(&model, columns: columns, hasBias: options.hasBias)
    let recurrent = try model.parameter("recurrent_weights", Shape(options.units, columns / heads))
    try model.append(SLSTMLayer(options, model, projection, timesteps, recurrent, heads, forgetBias))
  }

  private init(
    _ options: ScanOptions, _ model: Construction, _ projection: [Parameter], _ timesteps: Int, _ recurrent: Parameter,
    _ heads: Int, _ forgetBias: ForgetBias
  ) {
    (self.heads, self.forgetBias, width) = (heads, forgetBias, options.units / heads)
    super.init(options, model, projection, timesteps: timesteps, parameters: [recurrent])
  }

  /// The recurrent weights begin with zero, as in the paper's code.
  override func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {
    guard projection.count > 1 else { return }
    let bias = weights + projection[1].offset + units
    for unit in 0..<units { bias[unit] = forgetBias.value(unit % width, of: width) }
  }

  // MARK: Weights

  /// A block of one head has all gates of some units.
  private func panels(_ kernels: Kernels) -> Panels {
    Panels(units: width, gates: [0, 1, 2, 3], vectors: 4, lanes: kernels.lanes)
  }
  /// Of the transpose: a panel has as many units as four blocks.
  private func plainPanels(_ kernels: Kernels) -> Panels { Panels(columns: width, lanes: kernels.lanes) }
  /// The rows of the transpose of a head: gate after gate, and padding.
  private func transposedRows(_ kernels: Kernels) -> Panels { Panels(columns: 4 * width, lanes: kernels.lanes) }

  private func headCount(_ kernels: Kernels) -> Int { Carver.product(width, panels(kernels).paddedColumns) }
  private func transposedHeadCount(_ kernels: Kernels) -> Int {
    Carver.product(transposedRows(kernels).paddedColumns, plainPanels(kernels).paddedColumns)
  }

  override func packedCount(_ kernels: Kernels) -> Int { Carver.product(heads, headCount(kernels)) }
  override func packedBackwardCount(_ kernels: Kernels) -> Int { Carver.product(heads, transposedHeadCount(kernels)) }

  /// The recurrent weights of a head.
  private func weights(_ all: Floats, _ head: Int) -> Floats { all + parameters[0].offset + head * width * 4 * width }

  override func pack(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    let panels = panels(kernels)
    for head in part.range(of: heads) {
      panels.pack(
        0..<panels.count, rows: width, self.weights(weights, head), rowStride: 4 * width, depth: width,
        into: packed + head * headCount(kernels), kernels)
    }
  }

  override func packBackward(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {
    let panels = plainPanels(kernels)
    for head in part.range(of: heads) {
      panels.packTransposed(
        0..<panels.count, self.weights(weights, head), rowStride: 4 * width, rows: transposedRows(kernels),
        into: packed + head * transposedHeadCount(kernels), kernels)
    }
  }

  // MARK: State

  /// h, c, n and m.
  override func statePieces(_ kernels: Kernels) -> [StatePiece] {
    let piece = StatePiece(blocks: 1, lanes: units, meaningful: units)
    return [piece, piece, piece, piece]
  }

  /// Places among the extra floats; c and n have a plane for each step in training, else one.
  private struct Extra {
    let c, n, m, gates, dC, dN: Int
    let count: Int

    init(_ layer: SLSTMLayer, steps: Int, batch: Int, _ mode: Mode) {
      let training = mode.keepsTape
      let planes = training ? steps + 1 : mode == .stream ? 0 : 1
      var plan = Carver()
      c = plan.take(planes, batch, layer.units)
      n = plan.take(planes, batch, layer.units)
      m = plan.take(mode == .stream ? 0 : 1, batch, layer.units)
      gates = plan.take(training ? steps : 1, batch, layer.columns)
      dC = plan.take(training ? batch : 0, layer.units)
      dN = plan.take(training ? batch : 0, layer.units)
      count = plan.count
    }
  }

  override func extraCount(steps: Int, batch: Int, _ mode: Mode) -> Int {
    Extra(self, steps: steps, batch: batch, mode).count
  }

  private func extra(_ loop: ScanLoop) -> Extra {
    Extra(self, steps: loop.x.steps, batch: loop.x.batch, loop.pass.mode)
  }

  // MARK: Steps

  override var needsOthers: Bool { true }

  /// Whole panels of heads.
  private func panelCount(_ kernels: Kernels) -> Int { heads * plainPanels(kernels).count }

  /// The first unit of a panel of those of all heads, or the end.
  private func unit(panel: Int, _ kernels: Kernels) -> Int {
    let perHead = plainPanels(kernels).count
    return panel / perHead * width + panel % perHead * kernels.panelWidth
  }

  override func range(of part: Part, _ kernels: Kernels) -> Range<Int> {
    let own = part.range(of: panelCount(kernels))
    return unit(panel: own.lowerBound, kernels)..<unit(panel: own.upperBound, kernels)
  }

  override func begin(_ loop: ScanLoop, _ step: inout lstm_scan) {
    if loop.pass.state != nil { return }
    let places = extra(loop)
    if let from = loop.pass.carried?.from {
      let (all, plane) = (0..<loop.x.batch, loop.x.batch * units)
      loop.copyOwn(from + plane, all, to: loop.extra + places.c)
      loop.copyOwn(from + 2 * plane, all, to: loop.extra + places.n)
      return loop.copyOwn(from + 3 * plane, all, to: loop.extra + places.m)
    }
    loop.clearOwn(loop.extra + places.c, rows: loop.x.batch)
    loop.clearOwn(loop.extra + places.n, rows: loop.x.batch)
    loop.clearOwn(loop.extra + places.m, rows: loop.x.batch)
  }

  override func keep(_ loop: ScanLoop, _ step: Int, _ rows: Range<Int>, to: MutableFloats) {
    let (places, plane) = (extra(loop), loop.x.batch * units)
    let after = (step + 1) * plane
    loop.copyOwn(Floats(loop.extra + places.c + after), rows, to: to + plane)
    loop.copyOwn(Floats(loop.extra + places.n + after), rows, to: to + 2 * plane)
    loop.copyOwn(Floats(loop.extra + places.m), rows, to: to + 3 * plane)
  }

  override func advance(_ step: inout lstm_scan, _ loop: ScanLoop, _ rows: ScanRows) {
    let (places, lower, first) = (extra(loop), loop.own.lowerBound, rows.range.lowerBound * units)
    let plane = loop.x.batch * units
    let gates = loop.extra + places.gates + (loop.training ? rows.first : rows.range.lowerBound) * columns
    multiplyHidden(loop, rows, into: gates)
    // What is read there is about to be written.
    if !loop.keepsStates { loop.pass.part.meet() }
    step.gates = gates + lower
    if let state = loop.pass.state {
      let (c, n, m) = (state + plane, state + 2 * plane, state + 3 * plane)
      (step.c, step.n) = (Floats(c + first + lower), Floats(n + first + lower))
      (step.c_next, step.n_next, step.m) = (c + first + lower, n + first + lower, m + first + lower)
    } else {
      let (c, n) = (loop.extra + places.c + first + lower, loop.extra + places.n + first + lower)
      let (before, after) = planes(loop, rows)
      (step.c, step.n) = (Floats(c + before), Floats(n + before))
      (step.c_next, step.n_next) = (c + after, n + after)
      step.m = loop.extra + places.m + first + lower
    }
    loop.kernels.slstmForward(&step)
  }

  /// Where the planes before and after a step begin.
  private func planes(_ loop: ScanLoop, _ rows: ScanRows) -> (before: Int, after: Int) {
    let plane = loop.x.batch * units
    return loop.training ? (rows.areNew ? 0 : rows.step * plane, (rows.step + 1) * plane) : (0, 0)
  }

  /// h·R of this worker's units for some rows, laid out as the gates.
  private func multiplyHidden(_ loop: ScanLoop, _ rows: ScanRows, into gates: MutableFloats) {
    let (kernels, panels) = (loop.kernels, panels(loop.kernels))
    var p = lstm_product()
    (p.rows, p.depth, p.chunks) = (rows.range.count, width, 1)
    (p.a_row, p.a_step, p.b_row, p.start) = (units, 1, panels.width, UInt32(LSTM_FROM_ZERO))
    let perHead = plainPanels(kernels).count
    for panel in loop.pass.part.range(of: panelCount(kernels)) {
      let head = panel / perHead
      for block in panel % perHead * 4..<min(panels.count, (panel % perHead + 1) * 4) {
        p.a = rows.hidden + head * width
        p.b = loop.pass.packed + head * headCount(kernels) + block * width * panels.width
        p.setResult(gates + head * width + block * kernels.lanes, row: columns, panels, block)
        p.c_vector = (0, units, 2 * units, 3 * units)
        kernels.product(&p)
      }
    }
  }

  // MARK: Backward

  override func beginBackward(_ loop: ScanLoop, _ step: inout lstm_scan) {
    let places = extra(loop)
    loop.clearOwn(loop.extra + places.dC, rows: loop.x.batch)
    loop.clearOwn(loop.extra + places.dN, rows: loop.x.batch)
    loop.clearOwn(loop.extra + places.m, rows: loop.x.batch)
  }

  override func retreat(_ step: inout lstm_scan, _ loop: ScanLoop, _ rows: ScanRows) {
    let (places, here) = (extra(loop), rows.range.lowerBound * units + loop.own.lowerBound)
    let (c, n) = (loop.extra + places.c + here, loop.extra + places.n + here)
    let (before, after) = planes(loop, rows)
    (step.c, step.n) = (Floats(c + before), Floats(n + before))
    (step.c_next, step.n_next) = (c + after, n + after)
    step.gates = loop.extra + places.gates + rows.first * columns + loop.own.lowerBound
    (step.dc, step.dn) = (loop.extra + places.dC + here, loop.extra + places.dN + here)
    step.m = loop.extra + places.m + here
    loop.kernels.slstmBackward(&step)
  }

  override func addHiddenGradient(_ loop: ScanLoop, _ t: Int, dx: Floats) {
    guard let weights = loop.pass.packedBackward else { return }
    let (kernels, panels) = (loop.kernels, plainPanels(loop.kernels))
    var p = lstm_product()
    (p.rows, p.depth, p.chunks) = (loop.x.rows(at: t), width, 4)
    (p.a_row, p.a_step, p.a_chunk) = (columns, 1, units)
    (p.b_row, p.b_chunk) = (panels.width, width * panels.width)
    for panel in loop.pass.part.range(of: panelCount(kernels)) {
      let (head, inHead) = (panel / panels.count, panel % panels.count)
      p.a = dx + loop.x.first(t) * columns + head * width
      p.b =
        weights + head * transposedHeadCount(kernels) + inHead * transposedRows(kernels).paddedColumns * panels.width
      p.setResult(loop.dHidden + head * width, row: units, panels, inHead)
      p.begin(.accumulate, inHead, panels)
      kernels.product(&p)
    }
  }

  /// A state of zeros before the first step adds nothing. Steps whose rows lie one after the
  /// other, in dx and in the hidden states, are multiplied at once.
  override func accumulate(_ loop: ScanLoop, dx: Floats, _ gradients: MutableFloats) {
    loop.pass.part.meet()
    if let start = loop.pass.carried?.from {
      accumulate(loop, Floats(dx), start, rows: loop.x.rows(at: 0), gradients)
    }
    var (from, hidden, rows) = (0, Floats(loop.zeros), 0)
    for t in 0..<loop.x.steps {
      let s = loop.timestep(t)
      if s == 0 { continue }
      let (fromHere, hiddenHere) = (loop.x.first(t), Floats(loop.after(s - 1)))
      let rowsHere = min(loop.x.rows(at: t), loop.x.rows(at: loop.timestep(s - 1)))
      if fromHere == from + rows, hiddenHere == hidden + rows * units {
        rows += rowsHere
        continue
      }
      accumulate(loop, dx + from * columns, hidden, rows: rows, gradients)
      (from, hidden, rows) = (fromHere, hiddenHere, rowsHere)
    }
    accumulate(loop, dx + from * columns, hidden, rows: rows, gradients)
  }

  /// A worker has some gates of some heads.
  private func accumulate(_ loop: ScanLoop, _ dx: Floats, _ hidden: Floats, rows: Int, _ gradients: MutableFloats) {
    let panels = plainPanels(loop.kernels)
    for i in loop.pass.part.range(of: 4 * heads) {
      let (head, gate) = (i / 4, i % 4)
      loop.kernels.accumulateTransposed(
        0..<panels.count, rows: width, depth: rows, hidden + head * width, aRow: units,
        dx + gate * units + head * width, bRow: columns, bPanel: panels.width, panels,
        into: gradients + parameters[0].offset + head * width * 4 * width + gate * width, cRow: 4 * width)
    }
  }
}
