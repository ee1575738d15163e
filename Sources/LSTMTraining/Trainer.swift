internal import LSTMKernels
internal import LSTMLayers
public import LSTMModels
public import LSTMTensors
internal import Synchronization

/// Steps of training on one model, which it has to itself while it lives.
public final class Trainer {
  public let model: Model
  let compilation: Compilation
  private let run: Run
  private let gradients: Buffer
  private let trainable: [Gradient]
  /// Whether `gradients` holds those of a step.
  public private(set) var hasGradients = false

  private init(_ model: Model, _ compilation: Compilation, _ run: Run, _ gradients: Buffer, _ trainable: [Gradient]) {
    (self.model, self.compilation, self.run) = (model, compilation, run)
    (self.gradients, self.trainable) = (gradients, trainable)
  }

  deinit { model.owner.store(.none, ordering: .releasing) }

  /// Claims a compiled model.
  public static func make(_ model: Model, for owner: Model.Owner = .trainer) throws(LSTMError) -> Trainer {
    guard model.owner.compareExchange(expected: .none, desired: owner, ordering: .acquiringAndReleasing).exchanged
    else {
      throw .argument("model: expected one that is not being trained, got one that is")
    }
    do throws(LSTMError) {
      return try makeClaimed(model)
    } catch {
      model.owner.store(.none, ordering: .releasing)
      throw error
    }
  }

  private static func makeClaimed(_ model: Model) throws(LSTMError) -> Trainer {
    let compilation = try Compilation.current(model)
    let run = try Run.make(model, .train)
    let gradients = try Buffer.make(model.allocator, model.plan.count, of: Float.self)
    var trainable: [Gradient] = []
    for entry in model.plan.entries where entry.isTrainable {
      try Memory.append(Gradient(values: gradients.floats + entry.offset, count: entry.count), to: &trainable)
    }
    if trainable.isEmpty { throw .argument("model: expected trainable parameters, got none") }
    try makeSlots(model, compilation.optimizer)
    try model.prepareBackward()
    try Memory.check()
    return Trainer(model, compilation, run, gradients, trainable)
  }

  private static func makeSlots(_ model: Model, _ optimizer: Optimizer) throws(LSTMError) {
    var slots = model.training.slots
    while slots.count < optimizer.slotCount {
      let buffer = try Buffer.make(model.allocator, model.plan.count, of: Float.self)
      buffer.floats.update(repeating: optimizer.initialSlotValue(slots.count), count: model.plan.count)
      try Memory.append(buffer, to: &slots)
    }
    model.training.slots = slots
  }

  /// One step on some rows.
  ///
  /// - Parameter metrics: count the batch's outputs, as they are before the update, in the metrics.
  /// - Returns: the loss before the update.
  func step(_ reader: ExampleReader, _ rows: Rows, metrics: Bool) throws(LSTMError) -> Double {
    let kernels = model.kernels
    try reader.loadInputs(rows, into: run)
    let output = run.forward(to: compilation.lossStage)
    try reader.loadTargets(rows, for: output)
    let loss = compilation.evaluate(reader, output, gradient: run.outputGradient, kernels)
    guard loss.isFinite else { throw .diverged("training: expected a finite loss, got \(numberSpoken(loss))") }
    if metrics { compilation.countMetrics(reader, run) }
    gradients.floats.update(repeating: 0, count: model.plan.count)
    run.backward(to: compilation.lossStage, gradients: gradients.floats)
    guard compilation.optimizer.clip(trainable, kernels) else {
      throw .diverged("training: expected finite gradients, got a number that is not")
    }
    try Memory.check()
    update()
    hasGradients = true
    return loss
  }

  private func numberSpoken(_ x: Double) -> String { x.isNaN ? "nan" : x > 0 ? "infinity" : "-infinity" }

  private func update() {
    model.training.step += 1
    let slots = model.training.slots
    for entry in model.plan.entries where entry.isTrainable {
      var places = InlineArray<3, MutableFloats?>(repeating: nil)
      for i in 0..<slots.count { places[i] = slots[i].floats + entry.offset }
      compilation.optimizer.update(
        ParameterUpdate(
          count: entry.count, weights: model.parameters.floats + entry.offset,
          gradient: Floats(gradients.floats + entry.offset), slots: places),
        step: model.training.step, rate: model.training.learningRate, model.kernels)
    }
    model.repack()
  }

  /// One step on all of these examples. Without metrics.
  public func step(_ examples: Examples) throws(LSTMError) -> Double {
    let reader = try ExampleReader.make(model, examples, compilation.loss)
    return try step(reader, Rows(first: 0, count: examples.count), metrics: false)
  }

  /// The gradient of a parameter at the last step.
  public func gradient(of parameter: Parameter) -> UnsafePointer<Float> {
    UnsafePointer(gradients.floats + parameter.offset)
  }
}

extension Compilation {
  /// The loss of a batch whose targets the reader has loaded; `output` is that of the stages before `lossStage`.
  func evaluate(_ reader: ExampleReader, _ output: Signal, gradient: MutableFloats?, _ kernels: Kernels) -> Double {
    let width = output.count / max(1, reader.elements)
    let input = LossInput(
      outputs: Floats(output.values), targets: reader.targets, elements: reader.elements, width: width,
      weights: Floats(reader.lossWeights))
    return loss.evaluate(input, fromLogits: fromLogits, gradient: gradient, kernels, scratch: reader.scratch)
  }

  /// Adds a batch to the metrics, running the stages that the loss did without.
  func countMetrics(_ reader: ExampleReader, _ run: Run) {
    if metrics.isEmpty { return }
    let output = run.forward(from: lossStage)
    for metric in metrics {
      metric.update(
        outputs: Floats(output.values), targets: reader.targets, elements: reader.elements,
        width: output.count / max(1, reader.elements), mask: Floats(reader.mask))
    }
  }
}

/// Loss and metrics on data, without training.
public enum Evaluation {
  /// Appends the loss and metrics of all examples; with `validation`, under their names of validation data.
  static func append(
    to columns: Columns, _ model: Model, _ compilation: Compilation, _ examples: Examples, batchSize: Int,
    validation: Bool
  ) throws(LSTMError) {
    let reader = try ExampleReader.make(model, examples, compilation.loss)
    let run = try Run.make(model, .predict)
    for metric in compilation.metrics { metric.reset() }
    var total = 0.0
    for first in stride(from: 0, to: examples.count, by: batchSize) {
      let rows = Rows(first: first, count: min(batchSize, examples.count - first))
      try reader.loadInputs(rows, into: run)
      let output = run.forward(to: compilation.lossStage)
      try reader.loadTargets(rows, for: output)
      total += compilation.evaluate(reader, output, gradient: nil, model.kernels) * Double(rows.count)
      compilation.countMetrics(reader, run)
    }
    columns.append(validation ? "val_loss" : "loss", total / Double(examples.count))
    for metric in compilation.metrics { columns.append(validation ? metric.valName : metric.name, metric.result) }
  }

  public static func evaluate(_ model: Model, _ examples: Examples, batchSize: Int) throws(LSTMError) -> Columns {
    let columns = try Columns.make()
    try append(
      to: columns, model, try Compilation.current(model), examples, batchSize: batchSize, validation: false)
    try Memory.check()
    return columns
  }
}
