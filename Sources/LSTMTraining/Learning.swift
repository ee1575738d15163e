internal import LSTMKernels
public import LSTMModels
public import LSTMTensors

extension Trainer {
  /// One step on the samples that a stream has kept, as on a batch of this one sequence, or of samples that are none.
  ///
  /// - Parameter y: nil: what comes next. The target of each output is the sample behind it, and the last one is no input.
  /// - Returns: the loss before the update.
  public func learn(_ stream: Stream, _ y: ArrayView?) throws(LSTMError) -> Double {
    try model.checkSingle("trainer")
    try model.checkAlike(stream.model, "stream")
    if case .strings = model.input {
      throw .unsupported("trainer: expected a model that reads tokens or numbers, got one that reads text")
    }
    guard let recent = stream.recent else {
      throw .argument("stream: expected one that keeps samples (lstm_stream_keep), got one that keeps none")
    }
    let least = y == nil ? 2 : 1
    guard recent.count >= least else {
      throw .argument("stream: expected at least \(least) kept samples, got \(recent.count)")
    }
    let count = recent.count - least + 1
    // Not made from lists, which would be allocated.
    var (rows, last) = (Shape(), Shape())
    if model.readsSequences { rows.append(1) }
    rows.append(count)
    last.append(1)
    let x = samples("stream", recent.start, rows)
    if let y { return try step(Examples(x: x, y: y, weights: nil, classWeights: classWeights)) }
    let givesLast = model.readsSequences && !model.outputHasTime
    let next = recent.start + (givesLast ? count : 1) * stream.inputs
    let target = samples("y", next, givesLast ? last : rows)
    return try step(Examples(x: x, y: target, weights: nil, classWeights: classWeights))
  }

  /// Kept samples, the first axes of which are `rows`.
  private func samples(_ name: ArrayName, _ start: Floats, _ rows: Shape) -> ArrayView {
    var shape = rows
    if case .values(let sample) = model.input {
      for axis in (sample.rank > 1 ? 1 : 0)..<sample.rank { shape.append(sample[axis]) }
    }
    var (strides, stride) = (shape, MemoryLayout<Float>.stride)
    for axis in (0..<shape.rank).reversed() {
      strides[axis] = stride
      stride *= shape[axis]
    }
    return ArrayView(name: name, element: .float32, data: UnsafeRawPointer(start), shape: shape, strides: strides)
  }
}

extension Model {
  fileprivate var readsSequences: Bool { if case .values(let sample) = input { sample.rank > 1 } else { true } }
}
