internal import CLSTMKernels
internal import CLSTMShim
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// LSTM whose memory C is a matrix for each head, written by keys k and read by queries q, with exponential gates and a
/// normalizer n; m keeps the exponentials in range and changes no output.
///
///     q, k, v, o, i, f = x·W + b, k divided by √K; i and f one number a head    m′ = max(ln σ(f) + m, i)
///     i′ = exp(i - m′)    f′ = exp(ln σ(f) + m - m′)
///     C′ = f′·C + i′·k·vᵀ    n′ = f′·n + i′·k    h = σ(o)⊙C′ᵀq / max(|n′ᵀq|, exp(-m′))
/// - Shapes: x [batch, timesteps, columns], columns q [heads·K], k [heads·K], v [units], o [units] with an output gate, i
///   [heads], f [heads]; C [K, units/heads] a head.
/// - Arithmetic: step by step, in a batch as in a stream, so that both give the same bits: a head of a row goes through all
///   steps while its C stays in the first-level cache. No C is kept for the way back. The gradient of q needs C′, which a
///   second way forwards makes again, transposed; those of k and v the gradient of C, made backwards; that of f is a sum:
///   with A the scalar product of n and C with their gradients, what f′ is owed at a step is A after it less what i is.
/// - Several workers: each has some heads of some rows.
/// - Source: Beck et al. 2024, "xLSTM: Extended Long Short-Term Memory", equations 19 to 27; the gradient of f as in Yang et
///   al. 2023, "Gated Linear Attention Transformers with Hardware-Efficient Training".
final class MLSTMLayer: ScanLayer {
  let heads: Int
  /// Of a query and of a key.
  let keyDim: Int
  let hasOutputGate: Bool
  private let forgetBias: ForgetBias
  /// Of a head's value.
  let width: Int
  /// Numbers of a head's C.
  var memoryCount: Int { keyDim * width }

  static func make(_ model: inout Construction) throws(LSTMError) {
    let fields = model.fields
    let options = try ScanOptions(fields)
    let heads = try readHeads(fields, units: options.units)
    let keyDim = try fields.integer("key_dim", 1...Fields.unlimited, default: options.units / heads)
    let hasOutputGate = try fields.boolean("output_gate", default: true)
    let forgetBias = try ForgetBias.read(fields, default: .linspace)
    let keys = try Size.product(2, heads, keyDim)
    let values = try Size.product(hasOutputGate ? 2 : 1, options.units)
    let columns = try Size.sum(try Size.sum(keys, values), try Size.product(2, heads))
    _ = try Size.product(options.units, keyDim)
    let (projection, timesteps) = try project(&model, columns: columns, hasBias: options.hasBias)
    try model.append(
      MLSTMLayer(options, model, projection, timesteps, heads, keyDim, hasOutputGate, forgetBias))
  }

  private init(
    _ options: ScanOptions, _ model: Construction, _ projection: [Parameter], _ timesteps: Int, _ heads: Int,
    _ keyDim: Int, _ hasOutputGate: Bool, _ forgetBias: ForgetBias
  ) {
    (self.heads, self.keyDim, self.hasOutputGate, self.forgetBias) = (heads, keyDim, hasOutputGate, forgetBias)
    width = options.units / heads
    super.init(options, model, projection, timesteps: timesteps)
  }

  /// Where a head's numbers stand in a row of the input.
  struct Columns {
    let q, k, v, o, i, f: Int
    init(_ layer: MLSTMLayer, head: Int) {
      let (keys, units) = (layer.heads * layer.keyDim, layer.units)
      (q, k) = (head * layer.keyDim, keys + head * layer.keyDim)
      (v, o) = (2 * keys + head * layer.width, 2 * keys + units + head * layer.width)
      i = 2 * keys + (layer.hasOutputGate ? 2 : 1) * units + head
      f = i + layer.heads
    }
  }

  /// As in the paper's code, the gates i and f begin without a part of the input.
  override func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {
    let gates = Columns(self, head: 0).i
    for row in 0..<projection[0].shape[0] {
      (weights + projection[0].offset + row * columns + gates).clear(2 * heads)
    }
    guard projection.count > 1 else { return }
    let bias = weights + projection[1].offset + gates
    var sequence = random(0)
    normal(bias, count: heads, &sequence)
    kernels.scale(heads, by: 0.1, bias)
    for head in 0..<heads { bias[heads + head] = forgetBias.value(head, of: heads) }
  }

  // MARK: Workspace and state

  /// Only the states after the last step are kept.
  override var insides: [StaticString] { [] }

  /// h, then for all heads C, n and m.
  override func statePieces(_ kernels: Kernels) -> [StatePiece] {
    let keys = Carver.product(heads, keyDim)
    return [units, Carver.product(units, keyDim), keys, heads].map {
      StatePiece(blocks: 1, lanes: $0, meaningful: $0)
    }
  }

  /// Places among the extra floats. Of each head of each row: what is kept of a step, C and n (in a stream they are the
  /// state's), a second C, three vectors as long as a key and two as long as a value.
  struct Extra {
    let kept, ratio, c, n, m, second, keys, values: Int
    let count: Int

    init(_ layer: MLSTMLayer, steps: Int, batch: Int, _ mode: Mode) {
      let training = mode.keepsTape
      let own = mode == .stream ? 0 : Carver.product(batch, layer.heads)
      let all = Carver.product(batch, layer.heads)
      var plan = Carver()
      kept = plan.take(training ? steps : 1, all, Kept.count)
      ratio = plan.take(training ? steps : 1, batch, layer.units)
      c = plan.take(own, layer.keyDim, layer.width)
      n = plan.take(own, layer.keyDim)
      m = plan.take(own)
      second = plan.take(training ? all : 0, layer.keyDim, layer.width)
      keys = plan.take(all, training ? 3 : 1, layer.keyDim)
      values = plan.take(training ? all : 0, 2, layer.width)
      count = plan.count
    }
  }

  override func extraCount(steps: Int, batch: Int, _ mode: Mode) -> Int {
    Extra(self, steps: steps, batch: batch, mode).count
  }

  /// What is kept of a step of a head: i′, f′, 1 - σ(f), exp(-m′), then the divisor, and its slope by n′ᵀq or, on the way
  /// back, the gradient of n′ᵀq.
  enum Kept {
    static let (new, old, closing, divisor, slope) = (0, 1, 2, 3, 4)
    static let count = 5
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) { run(x, y, pass) { $0.forward() } }

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    guard let dx else { return }
    run(x, y, pass) {
      $0.backward(dy: Floats(dy), into: dx)
      $0.queryGradient(into: dx)
    }
  }

  private func run(_ x: Signal, _ y: Signal, _ pass: Pass, _ body: (MatrixMemory) -> Void) {
    let loop = ScanLoop(self, x, y, pass)
    let extra = Extra(self, steps: x.steps, batch: x.batch, pass.mode)
    for pair in pass.part.range(of: x.batch * heads) {
      body(MatrixMemory(self, loop, extra, row: pair / heads, head: pair % heads))
    }
  }
}
