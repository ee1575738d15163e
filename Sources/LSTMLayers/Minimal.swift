internal import CLSTMKernels
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// minGRU and minLSTM, whose gates know nothing of the state.
///
///     h′ = h + w⊙(n - h)    n = g(x·Wₙ + bₙ), g(a) = a + 1/2 from 0 on and below it σ(a), or n = x·Wₙ + bₙ
///     w = σ(x·W_z + b_z)            minGRU, gates z n
///     w = i / (f + i), i, f = σ(x·W + b)    minLSTM, gates i f n
/// A weighted mean of the state and the new value: an error of rounding does not grow from step to step, so that no
/// logarithms are needed however long the sequence is. Nothing is kept for the way back but the states.
/// - Source: Feng et al. 2024, "Were RNNs All We Needed?".
final class MinimalLayer: ScanLayer {
  private let gatesOfWeight: Int
  private let isPositive: Bool
  private let remembersFirst: Bool

  static func makeGRU(_ model: inout Construction) throws(LSTMError) { try make(&model, gatesOfWeight: 1) }
  static func makeLSTM(_ model: inout Construction) throws(LSTMError) { try make(&model, gatesOfWeight: 2) }

  private static func make(_ model: inout Construction, gatesOfWeight: Int) throws(LSTMError) {
    let fields = model.fields
    let options = try ScanOptions(fields)
    let isPositive = try fields.choice("activation", ["g", "linear"], default: 0) == 0
    let remembersFirst = gatesOfWeight == 2 ? try fields.boolean("unit_forget_bias", default: true) : false
    let columns = try Size.product(gatesOfWeight + 1, options.units)
    let (projection, timesteps) = try project(&model, columns: columns, hasBias: options.hasBias)
    try model.append(
      MinimalLayer(options, model, projection, timesteps, gatesOfWeight, isPositive, remembersFirst))
  }

  private init(
    _ options: ScanOptions, _ model: Construction, _ projection: [Parameter], _ timesteps: Int, _ gatesOfWeight: Int,
    _ isPositive: Bool, _ remembersFirst: Bool
  ) {
    (self.gatesOfWeight, self.isPositive, self.remembersFirst) = (gatesOfWeight, isPositive, remembersFirst)
    super.init(options, model, projection, timesteps: timesteps)
  }

  override func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {
    guard remembersFirst, projection.count > 1 else { return }
    (weights + projection[1].offset + units).update(repeating: 1, count: units)
  }

  override var insides: [StaticString] { ["hidden", "gates"] }

  override func insideShape(_ i: Int, steps: Int, otherSteps: Int) -> Shape {
    i == 0 ? Shape(steps, units) : Shape(steps, gatesOfWeight + 1, units)
  }

  override func writeInside(
    _ i: Int, _ xs: Inputs, _ y: Signal, _ pass: Pass, shape: Shape, to sample: (Int) -> MutableFloats
  ) {
    if i == 0 { return super.writeInside(i, xs, y, pass, shape: shape, to: sample) }
    let x = xs[0]
    x.forEachValid { (t, row, place) in
      let (from, to) = (x.values + place * columns, sample(row) + t * columns)
      let candidates = gatesOfWeight * units
      pass.kernels.activate(UInt32(LSTM_SIGMOID), columns, from, to)
      for i in candidates..<columns where !isPositive || from[i] >= 0 { to[i] = from[i] + (isPositive ? 0.5 : 0) }
    }
  }

  private func setKind(_ step: inout lstm_scan) {
    (step.gates_of_weight, step.above_zero) = (UInt32(gatesOfWeight), isPositive ? 1 : 0)
  }

  override func begin(_ loop: ScanLoop, _ step: inout lstm_scan) { setKind(&step) }

  override func advance(_ step: inout lstm_scan, _ loop: ScanLoop, _ rows: ScanRows) {
    loop.kernels.minimalForward(&step)
  }

  override func beginBackward(_ loop: ScanLoop, _ step: inout lstm_scan) { setKind(&step) }

  override func retreat(_ step: inout lstm_scan, _ loop: ScanLoop, _ rows: ScanRows) {
    loop.kernels.minimalBackward(&step)
  }
}
