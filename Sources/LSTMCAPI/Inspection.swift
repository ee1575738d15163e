public import CLSTM
internal import LSTMModels
internal import LSTMTensors

@inline(never) private func deliver(
  _ inspection: Inspection, _ shape: UnsafeMutablePointer<Int64>?, _ rank: UnsafeMutablePointer<UInt32>?,
  to values: UnsafeMutablePointer<Float>?, capacity: Int, count: UnsafeMutablePointer<Int>?
) throws(LSTMError) {
  try deliver(inspection.shape, shape, rank, to: values, capacity: capacity, count: count) {
    (out) throws(LSTMError) in try inspection.write(into: out)
  }
}

/// Gives what was asked for, and its shape if that is wanted.
private func deliver(
  _ result: Shape, _ shape: UnsafeMutablePointer<Int64>?, _ rank: UnsafeMutablePointer<UInt32>?,
  to values: UnsafeMutablePointer<Float>?, capacity: Int, count: UnsafeMutablePointer<Int>?,
  _ write: (UnsafeMutablePointer<Float>) throws(LSTMError) -> Void
) throws(LSTMError) {
  try deliver(try result.count(), to: values, "values", capacity: capacity, count: count, write)
  for axis in 0..<result.rank { shape?[axis] = Int64(result[axis]) }
  rank?.pointee = UInt32(result.rank)
}

/// The layer and what of it the caller names.
private struct Question {
  let layer: UnsafePointer<CChar>?
  let what: UnsafePointer<CChar>?

  @inline(never) func ask(_ model: Model, _ xs: Arrays) throws(LSTMError) -> Inspection {
    try Inspection(model, xs, layer: try text(layer, "layer"), try text(what, "what"))
  }
}

@c @implementation
public func lstm_inspect(
  _ model: OpaquePointer!, _ x: UnsafePointer<lstm_array>!, _ layer: UnsafePointer<CChar>!,
  _ what: UnsafePointer<CChar>!, _ shape: UnsafeMutablePointer<Int64>!, _ rank: UnsafeMutablePointer<UInt32>!,
  _ values: UnsafeMutablePointer<Float>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    try model.checkSingle("model", "lstm_inspect_many")
    let inspection = try Question(layer: layer, what: what).ask(model, Arrays(try ArrayView(x, "x")))
    try deliver(inspection, shape, rank, to: values, capacity: capacity, count: count)
  }
}

@c @implementation
public func lstm_inspect_many(
  _ model: OpaquePointer!, _ data: UnsafePointer<lstm_data>!, _ layer: UnsafePointer<CChar>!,
  _ what: UnsafePointer<CChar>!, _ shape: UnsafeMutablePointer<Int64>!, _ rank: UnsafeMutablePointer<UInt32>!,
  _ values: UnsafeMutablePointer<Float>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let inspection = try Question(layer: layer, what: what).ask(try LSTMCAPI.model(model), try inputs(data))
    try deliver(inspection, shape, rank, to: values, capacity: capacity, count: count)
  }
}

@c @implementation
public func lstm_saliency(
  _ model: OpaquePointer!, _ x: UnsafePointer<lstm_array>!, _ output: Int, _ steps: UInt32,
  _ shape: UnsafeMutablePointer<Int64>!, _ rank: UnsafeMutablePointer<UInt32>!, _ values: UnsafeMutablePointer<Float>!,
  _ capacity: Int, _ count: UnsafeMutablePointer<Int>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    guard steps <= 10_000 else { throw .argument("steps: expected 0 to 10000, got \(steps)") }
    let saliency = try Saliency.make(model, try ArrayView(x, "x"), output: output, steps: Int(steps))
    try deliver(saliency.shape, shape, rank, to: values, capacity: capacity, count: count) {
      (out) throws(LSTMError) in try saliency.write(into: out)
    }
  }
}
