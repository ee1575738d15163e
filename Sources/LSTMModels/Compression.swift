internal import LSTMDescription
public import LSTMKernels
public import LSTMTensors

extension WeightFormat {
  /// As the description names them.
  static var names: [StaticString] { ["float32", "bfloat16", "int8"] }
  var name: StaticString { WeightFormat.names[rawValue] }
}

extension Model {
  /// How the weights are kept.
  public var weightFormat: WeightFormat { kernels.weights }

  /// The same model with weights of another format, for prediction alone: what it was trained for is left out.
  public func compressed(_ format: WeightFormat) throws(LSTMError) -> Model {
    let pinned = pin()
    defer { unpin(pinned) }
    let weights = pinned.weights.parameters
    try checkFinite(Floats(weights.floats))
    let text = try describe(format)
    let description = try Document.parse(text.text, name: "description")
    withExtendedLifetime(text) {}
    let copy = try Model.make(description.root, path: "description", allocator, kernels)
    copy.parameters.base.copyMemory(from: weights.base, byteCount: weights.byteCount)
    copy.roundWeights(copy.parameters.floats)
    copy.repack()
    return copy
  }

  private func checkFinite(_ weights: Floats) throws(LSTMError) {
    for entry in plan.entries where entry.lines != .none {
      for i in entry.offset..<entry.offset + entry.count where !weights[i].isFinite {
        throw .argument(
          "model: expected finite weights, got \(Double(weights[i])) in \(quoted(entry.name.utf8))")
      }
    }
  }

  /// Rounds the weights to numbers that their format can hold.
  func roundWeights(_ parameters: MutableFloats) {
    for entry in plan.entries {
      for line in 0..<entry.lineCount {
        weightFormat.round(parameters + entry.linePlace(line), count: entry.lineLength, step: entry.lineStep)
      }
    }
  }

  /// Before anything that would change weights, or learn.
  public func checkTrainable() throws(LSTMError) {
    guard weightFormat == .float32 else {
      throw .unsupported(
        "model: expected weights of float32, got \(weightFormat.name.text): compressed weights are for prediction only")
    }
  }
}

extension Parts {
  /// Whether sums of products with 8-bit weights fit their integers.
  func checkLines() throws(LSTMError) {
    guard kernels.weights == .int8 else { return }
    for entry in plan.entries where entry.lines == .columns && entry.lineLength > WeightFormat.longestLine {
      throw .argument(
        "weights: expected at most \(WeightFormat.longestLine) inputs of \(quoted(entry.name.utf8)) for int8, got "
          + "\(entry.lineLength)")
    }
  }
}
