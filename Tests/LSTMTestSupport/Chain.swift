public import LSTMKernels
import LSTMLayers
public import LSTMModels
public import LSTMTensors

/// A training pass through the layers of a model by their public face alone, without `Run`.
///
/// Workspaces, outputs and gradients are just as large as the layers ask for and full of NaN before each pass, so that
/// what is read before it was written shows; and there is the gradient with respect to the model's input.
public final class Chain {
  public let model: Model
  private let firstStage: Int
  public let weights: Buffer
  /// `[steps, batch, width]`; NaN-free. Of tokens nothing.
  public let input: Buffer
  public let inputCount: Int
  public let outputCount: Int
  /// Where the gradients of the parameters are added.
  public let gradients: Buffer
  /// The gradient with respect to `input`.
  public private(set) var inputGradient: Buffer
  /// By their numbers in `Wiring`, less those before the first stage that runs.
  private let signals: UnsafeMutableBufferPointer<Signal>
  private let buffers: [Buffer]
  private let workspaces: [Buffer]
  private let packed: [Buffer]
  private let packedBackward: [Buffer]

  private static func make(_ count: Int) throws -> Buffer { try Buffer.make(.system, count, of: Float.self) }

  public init(_ model: Model, _ sample: Sample) throws {
    self.model = model
    firstStage = model.runs(0) ? 0 : 1
    let run = try Run.make(model, .train)
    try run.load(sample)
    let width = run.inputWidth
    let starts = try Buffer.make(.system, run.steps + 1, of: Int.self)
    if run.padding == .cut { starts.pointer(to: Int.self).update(from: run.starts, count: run.steps + 1) }
    inputCount = (run.padding == .cut ? run.starts[run.steps] : run.steps * run.batch) * width
    input = try Chain.make(inputCount)
    input.floats.update(from: run.values, count: inputCount)
    let mask = try Buffer.make(.system, bytes: run.steps * run.batch)
    if run.padding == .masked { mask.base.copyMemory(from: run.mask, byteCount: mask.byteCount) }
    var x = Signal(values: input.floats, steps: run.steps, batch: run.batch, width: width)
    if case .values = model.input {} else { x.tokens = UnsafePointer(input.pointer(to: Int32.self)) }
    if run.padding == .cut { x.starts = UnsafePointer(starts.pointer(to: Int.self)) }
    if run.padding == .masked { x.mask = UnsafePointer(mask.pointer(to: UInt8.self)) }

    signals = .allocate(capacity: model.stages.count + 1)
    signals.initialize(repeating: x)
    var (buffers, workspaces, packed, packedBackward) = ([mask, starts], [Buffer](), [Buffer](), [Buffer]())
    for i in firstStage..<model.stages.count {
      let (stage, xs) = (model.stages[i], Inputs(UnsafePointer(signals.baseAddress!), model.wiring.inputs(of: i)))
      x = xs[0]
      workspaces.append(
        try Chain.make(
          stage.workspaceCount(
            steps: x.steps, otherSteps: xs[xs.count - 1].steps, batch: x.batch, .train, model.kernels)))
      packed.append(try Chain.make(stage.packedCount(model.kernels)))
      packedBackward.append(try Chain.make(Chain.withInputGradient(stage) { $0.packedBackwardCount(model.kernels) }))
      let steps = stage.outputSteps(x.steps)
      let values = try Chain.make(steps * x.batch * stage.outputWidth)
      let newMask = try Buffer.make(.system, bytes: max(x.rows, steps * x.batch))
      var y = Signal(values: values.floats, steps: steps, batch: x.batch, width: stage.outputWidth)
      if stage.keepsTime { y.starts = x.starts }
      y.mask = stage.outputMask(of: xs, newMask.pointer(to: UInt8.self))
      buffers += [values, newMask]
      signals[i + 1] = y
    }
    outputCount = signals[model.stages.count].count
    weights = try Chain.make(model.plan.count)
    weights.floats.update(from: model.parameters.floats, count: model.plan.count)
    gradients = try Chain.make(model.plan.count)
    inputGradient = try Chain.make(inputCount)
    (self.buffers, self.workspaces) = (buffers, workspaces)
    (self.packed, self.packedBackward) = (packed, packedBackward)
  }

  deinit { signals.deallocate() }

  /// Models leave the gradients of their inputs out.
  private static func withInputGradient<R>(_ layer: Layer, _ body: (Layer) -> R) -> R {
    let had = layer.hasTrainedInput
    layer.hasTrainedInput = true
    defer { layer.hasTrainedInput = had }
    return body(layer)
  }

  private func fill(_ buffer: Buffer) { buffer.floats.update(repeating: .nan, count: buffer.byteCount / 4) }

  private func pass(_ i: Int) -> Pass {
    let stage = firstStage + i
    return Pass(
      kernels: model.kernels, mode: .train, weights: Floats(weights.floats), packed: Floats(packed[i].floats),
      packedBackward: Floats(packedBackward[i].floats), workspace: workspaces[i].floats, state: nil,
      random: RandomSequence(seed: model.seed, .dropout, place: (UInt64(stage), model.training.step)),
      part: .whole)
  }

  private func layer(_ i: Int) -> Layer { model.stages[firstStage + i] }
  private func inputs(_ i: Int) -> UnsafeBufferPointer<Int> { model.wiring.inputs(of: firstStage + i) }
  private func xs(_ i: Int) -> Inputs { Inputs(UnsafePointer(signals.baseAddress!), inputs(i)) }
  private func y(_ i: Int) -> Signal { signals[firstStage + i + 1] }

  /// `[steps, batch, width]`.
  public func forward() -> [Float] {
    for i in 0..<workspaces.count {
      fill(workspaces[i])
      fill(packed[i])
      y(i).values.update(repeating: .nan, count: y(i).count)
      layer(i).pack(Floats(weights.floats), into: packed[i].floats, model.kernels, .whole)
      layer(i).forward(xs(i), into: y(i), pass(i))
    }
    return Array(UnsafeBufferPointer(start: signals[model.stages.count].values, count: outputCount))
  }

  /// Whether an output counts: it is none of padding.
  public func isValid(output i: Int) -> Bool {
    let y = signals[model.stages.count]
    return y.mask.map { $0[i / y.width] != 0 } ?? true
  }

  /// After `forward`.
  public func backward(_ outputGradient: [Float]) throws {
    var found: [Int: Buffer] = [model.stages.count: try Chain.make(outputCount)]
    found[model.stages.count]!.floats.update(from: outputGradient, count: outputCount)
    for i in stride(from: workspaces.count - 1, through: 0, by: -1) {
      fill(packedBackward[i])
      Chain.withInputGradient(layer(i)) {
        $0.packBackward(Floats(weights.floats), into: packedBackward[i].floats, model.kernels, .whole)
      }
      let (dy, dxs) = (found[firstStage + i + 1]!, try inputs(i).map { try Chain.make(signals[$0].count) })
      dxs.forEach(fill)
      let places: [MutableFloats?] = zip(inputs(i), dxs).map { signals[$0].tokens == nil ? $1.floats : nil }
      places.withUnsafeBufferPointer { places in
        Chain.withInputGradient(layer(i)) {
          $0.backward(
            xs(i), y(i), dy: dy.floats, into: InputGradients(places.baseAddress!), gradients: gradients.floats, pass(i))
        }
      }
      if layer(i).hasSparseGradient, let table = layer(i).parameters.first {
        layer(i).addRows(0..<table.shape[0], xs(i)[0], dy: dy.floats, gradients: gradients.floats, model.kernels)
      }
      for (signal, dx) in zip(inputs(i), dxs) {
        guard let sum = found[signal] else {
          found[signal] = dx
          continue
        }
        model.kernels.add(signals[signal].count, Floats(dx.floats), to: sum.floats)
      }
    }
    inputGradient = found[firstStage]!
  }
}

extension Run {
  /// Loads all of a sample as one part, ready for a pass.
  public func load(_ sample: Sample) throws {
    let feed = try Feed.make(model, Arrays(sample.view), sameSteps: true)
    try feed.begin(Rows(first: 0, count: sample.rows))
    try feed.load(0..<sample.rows, into: self)
    if !feed.fill(0..<sample.rows, self, .whole) { try feed.checkFinite(0..<sample.rows, self) }
    withExtendedLifetime(sample) {}
    layOut()
  }

  /// What `backward` leaves to be added.
  public func addSparseGradients(_ gradients: MutableFloats) {
    for (i, stage) in model.stages.enumerated() where stage.hasSparseGradient {
      addSparseGradient(i, 0..<stage.parameters[0].shape[0], gradients: gradients)
    }
  }
}
