public import LSTMDescription
public import LSTMKernels
public import LSTMModels
public import LSTMTensors
import LSTMTraining

/// Every set of kernels that this processor can run.
public func kernelSets() -> [Kernels] {
  ["baseline", "avx2", "avx512", "neon"].compactMap { (name: StaticString) -> Kernels? in
    let found = name.withUTF8Buffer { bytes in
      bytes.withMemoryRebound(to: CChar.self) { Kernels.named($0.baseAddress!) }
    }
    if case .found(let kernels) = found { return kernels }
    return nil
  }
}

/// The fastest of them.
public var fastestKernels: Kernels { kernelSets().last! }

extension Kernels: CustomStringConvertible {
  public var description: String { String(cString: name) }
}

/// A value of a description; it keeps its document alive.
public func parsed(_ json: String, name: StaticString = "description") throws -> Value {
  try Array(json.utf8).withUnsafeBufferPointer { try Document.parse($0, name: name).root }
}

public func text(_ writer: Writer) -> String { String(decoding: writer.text, as: UTF8.self) }

/// A model as lstm_create makes it.
public func makeModel(
  _ description: String, _ kernels: Kernels = fastestKernels, _ allocator: Allocator = .system
) throws -> Model {
  let value = try parsed(description)
  let model = try Model.make(value, path: "description", allocator, kernels)
  if let training = value.member("training") { try Compilation.compile(model, training) }
  model.initialize()
  return model
}

/// That with weights of which all have an effect.
public func makeRandomModel(
  _ description: String, _ kernels: Kernels = fastestKernels, seed: UInt64 = 8
) throws -> Model {
  let model = try makeModel(description, kernels)
  var random = Generator(seed)
  model.setWeights(model.randomWeights(&random))
  return model
}

/// A model from the bytes of a file.
public func loadModel(_ bytes: [UInt8], _ kernels: Kernels = fastestKernels) throws -> Model {
  try bytes.withUnsafeBufferPointer {
    try Checkpoint.read($0, .system, kernels) { (model, training) throws(LSTMError) in
      try Compilation.compile(model, training)
    }
  }
}

extension Model {
  public var weights: [Float] { Array(UnsafeBufferPointer(start: parameters.floats, count: plan.count)) }

  public func setWeights(_ weights: [Float]) {
    parameters.floats.update(from: weights, count: plan.count)
    repack()
  }

  /// For each parameter all weights, of which only its own are others.
  public func changedWeights() -> [(parameter: String, weights: [Float])] {
    plan.entries.map { entry in
      var changed = weights
      for i in entry.offset..<entry.offset + entry.count { changed[i] += 0.25 + 0.01 * Float(i % 7) }
      return (entry.name, changed)
    }
  }

  /// Weights of which none is zero and all have an effect, so small that sums of many stay small; a variance is positive.
  fileprivate func randomWeights(_ random: inout Generator) -> [Float] {
    var weights = weights
    for entry in plan.entries {
      let limit = entry.shape.rank > 1 ? min(0.7, 1.4 / Float(entry.count / entry.shape.last).squareRoot()) : 0.7
      let range = entry.name.hasSuffix("variance") ? 0.5...2 : -limit...limit
      weights.replaceSubrange(entry.offset..<entry.offset + entry.count, with: random.floats(entry.count, in: range))
    }
    return weights
  }

  public func saved(weightsOnly: Bool = false) throws -> [UInt8] {
    let file = try Checkpoint.write(self, weightsOnly: weightsOnly)
    return withExtendedLifetime(file) { Array(file.elements) }
  }

  public func described() throws -> String { LSTMTestSupport.text(try describe()) }

  /// The outputs for some rows of a sample, or all.
  public func predict(
    _ x: ArrayView, batchSize: Int, threads: Int = 1, into y: UnsafeMutablePointer<Float>
  ) throws {
    let predictor = Predictor(self, Workers(threads: threads, areKept: false))
    _ = try predictor.take(Arrays(x))
    try predictor.predict(rows: x.rows, batchSize: batchSize, into: y)
  }

  public func predicted(
    _ sample: Sample, rows: Range<Int>? = nil, batchSize: Int = 32, threads: Int = 1
  ) throws -> [Float] {
    let x = rows.map { sample.view.slice($0) } ?? sample.view
    let y = Numbers([Float](repeating: .nan, count: try outputShape(for: Arrays(x)).count()))
    try predict(x, batchSize: batchSize, threads: threads, into: y.start)
    withExtendedLifetime(sample) {}
    return y.values
  }
}
