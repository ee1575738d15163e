public import CLSTM
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMModels
internal import LSTMTensors
internal import LSTMTraining
internal import Synchronization

/// The caller's allocator; NULL is malloc.
func allocator(_ pointer: UnsafePointer<lstm_allocator>?) throws(LSTMError) -> Allocator {
  guard let pointer else { return .system }
  let hooks = try checked(pointer, "allocator").pointee
  guard let allocate = hooks.allocate, let deallocate = hooks.deallocate else {
    throw .argument("allocator: expected both allocate and deallocate, got NULL")
  }
  return Allocator(allocate: allocate, deallocate: deallocate, user: hooks.user)
}

/// A model that may be changed: nobody trains it just now.
func idleModel(_ handle: OpaquePointer?) throws(LSTMError) -> Model {
  let model = try model(handle)
  guard model.owner.load(ordering: .acquiring) == .none else {
    throw .argument("model: expected one that is not being trained, got one that is")
  }
  return model
}

/// A copy of what the caller called `name`, to be read as JSON.
private func document(_ pointer: UnsafePointer<CChar>?, _ name: StaticString) throws(LSTMError) -> Document {
  try Document.parse(try text(pointer, name), name: name)
}

@c @implementation
public func lstm_create(
  _ description: UnsafePointer<CChar>!, _ allocator: UnsafePointer<lstm_allocator>!,
  _ model: UnsafeMutablePointer<OpaquePointer?>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let out = try required(model, "model")
    let root = try document(description, "description").root
    let made = try Model.make(
      root, path: "description", try LSTMCAPI.allocator(allocator), try currentKernels())
    if let training = root.member("training"), !training.isNull { try Compilation.compile(made, training) }
    made.initialize()
    out.pointee = try makeHandle(made, .model)
  }
}

@c @implementation
public func lstm_clone(_ model: OpaquePointer!, _ clone: UnsafeMutablePointer<OpaquePointer?>!) -> Int32 {
  boundary { () throws(LSTMError) in
    let original = try LSTMCAPI.model(model)
    let out = try required(clone, "clone")
    let bytes = try Checkpoint.write(original, weightsOnly: false)
    out.pointee = try makeHandle(
      try read(bytes.elements, original.allocator, original.kernels), .model)
  }
}

/// A model from the bytes of a file.
func read(_ bytes: UnsafeBufferPointer<UInt8>, _ allocator: Allocator, _ kernels: Kernels) throws(LSTMError) -> Model {
  try Checkpoint.read(bytes, allocator, kernels) { (model, training) throws(LSTMError) in
    try Compilation.compile(model, training)
  }
}

@c @implementation
public func lstm_free(_ model: OpaquePointer!) { freeHandle(model, .model) }

@c @implementation
public func lstm_summary(
  _ model: OpaquePointer!, _ buffer: UnsafeMutablePointer<CChar>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    try deliver(try LSTMCAPI.model(model).summary(), to: buffer, capacity: capacity, count: count)
  }
}

@c @implementation
public func lstm_describe(
  _ model: OpaquePointer!, _ buffer: UnsafeMutablePointer<CChar>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    try deliver(try LSTMCAPI.model(model).describe(), to: buffer, capacity: capacity, count: count)
  }
}

@c @implementation
public func lstm_adapt(_ model: OpaquePointer!, _ x: UnsafePointer<lstm_array>!) -> Int32 {
  boundary { () throws(LSTMError) in try idleModel(model).adapt(try ArrayView(x, "x")) }
}

@c @implementation
public func lstm_compile(_ model: OpaquePointer!, _ training: UnsafePointer<CChar>!) -> Int32 {
  boundary { () throws(LSTMError) in
    try Compilation.compile(try idleModel(model), try document(training, "training").root)
  }
}

@c @implementation
public func lstm_output_shape(
  _ model: OpaquePointer!, _ x: UnsafePointer<lstm_array>!, _ shape: UnsafeMutablePointer<Int64>!,
  _ rank: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    let result = try model.outputShape(for: try ArrayView(x, "x"))
    let (shape, rank) = (try required(shape, "shape"), try required(rank, "rank"))
    for axis in 0..<result.rank { shape[axis] = Int64(result[axis]) }
    rank.pointee = UInt32(result.rank)
  }
}

@c @implementation
public func lstm_predict(
  _ model: OpaquePointer!, _ x: UnsafePointer<lstm_array>!, _ options: UnsafePointer<lstm_options>!,
  _ y: UnsafeMutablePointer<Float>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    let x = try ArrayView(x, "x")
    let batchSize = try batchSize(options)
    let needed = try model.outputShape(for: x).count()
    try deliver(needed, to: y, "y", capacity: capacity, count: count) { (out) throws(LSTMError) in
      try model.predict(x, batchSize: batchSize, into: out)
    }
  }
}

// MARK: Parameters

@c @implementation
public func lstm_parameter_count(_ model: OpaquePointer!, _ count: UnsafeMutablePointer<Int>!) -> Int32 {
  boundaryWithoutAllocation { () throws(LSTMError) -> Int32 in
    let model = try LSTMCAPI.model(model)
    try required(count, "count").pointee = model.plan.entries.count
    return LSTM_OK
  }
}

@c @implementation
public func lstm_parameter_info(_ model: OpaquePointer!, _ index: Int, _ info: UnsafeMutablePointer<lstm_parameter>!) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    let size = UnsafeRawPointer(try required(info, "info")).loadUnaligned(as: UInt32.self)
    let entries = model.plan.entries
    guard index >= 0, index < entries.count else {
      throw .argument("index: expected 0 to \(entries.count - 1), got \(UInt(bitPattern: index))")
    }
    let entry = entries[index]
    var value = lstm_parameter()
    value.trainable = entry.isTrainable ? 1 : 0
    value.rank = UInt32(entry.shape.rank)
    value.count = entry.count
    for axis in 0..<entry.shape.rank { value.setExtent(axis, to: Int64(entry.shape[axis])) }
    value.setName(entry.name)
    try initialize(info, "info", size: Int(size), to: value)
  }
}

/// The parameter of that name.
func parameter(_ model: Model, _ name: UnsafePointer<CChar>?) throws(LSTMError) -> Parameter {
  let name = try text(name, "name")
  guard let index = model.plan.index(of: name) else {
    throw .argument("name: expected a parameter, as \"" + (model.plan.entries.first?.name ?? "") + "\", got " + quoted(name))
  }
  return model.plan.entries[index]
}

@c @implementation
public func lstm_get_parameter(
  _ model: OpaquePointer!, _ name: UnsafePointer<CChar>!, _ values: UnsafeMutablePointer<Float>!, _ capacity: Int,
  _ count: UnsafeMutablePointer<Int>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    let entry = try parameter(model, name)
    try deliver(entry.count, to: values, "values", capacity: capacity, count: count) { (out) throws(LSTMError) in
      out.update(from: model.parameters.floats + entry.offset, count: entry.count)
    }
  }
}

@c @implementation
public func lstm_set_parameter(
  _ model: OpaquePointer!, _ name: UnsafePointer<CChar>!, _ values: UnsafePointer<Float>!, _ count: Int
) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    if model.owner.load(ordering: .acquiring) == .fit {
      throw .argument("model: expected one that is not being trained, got one that is")
    }
    let entry = try parameter(model, name)
    let values = try required(values, "values")
    guard count == entry.count else {
      throw .argument("count: expected \(entry.count), got \(UInt(bitPattern: count))")
    }
    for i in 0..<count where !values[i].isFinite {
      throw .argument("values[\(i)]: expected a finite number, got " + numberText(Double(values[i])))
    }
    (model.parameters.floats + entry.offset).update(from: values, count: count)
    model.repack()
  }
}

// MARK: Streams

@c @implementation
public func lstm_stream_create(_ model: OpaquePointer!, _ stream: UnsafeMutablePointer<OpaquePointer?>!) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    let out = try required(stream, "stream")
    out.pointee = try makeHandle(try Stream.make(model), .stream)
  }
}

@c @implementation
public func lstm_stream_sizes(
  _ stream: OpaquePointer!, _ inputs: UnsafeMutablePointer<Int>!, _ outputs: UnsafeMutablePointer<Int>!
) -> Int32 {
  boundaryWithoutAllocation { () throws(LSTMError) -> Int32 in
    let stream = try LSTMCAPI.stream(stream)
    let (inputs, outputs) = (try required(inputs, "inputs"), try required(outputs, "outputs"))
    (inputs.pointee, outputs.pointee) = (stream.inputs, stream.outputs)
    return LSTM_OK
  }
}

@c @implementation
public func lstm_stream_step(
  _ stream: OpaquePointer!, _ x: UnsafePointer<Float>!, _ x_count: Int, _ y: UnsafeMutablePointer<Float>!, _ y_count: Int
) -> Int32 {
  boundaryWithoutAllocation { () throws(LSTMError) -> Int32 in
    let stream = try LSTMCAPI.stream(stream)
    guard x_count == stream.inputs else { throw wrongCount("x_count", stream.inputs, x_count) }
    guard y_count == stream.outputs else { throw wrongCount("y_count", stream.outputs, y_count) }
    try stream.step(try required(x, "x"), try required(y, "y"))
    return LSTM_OK
  }
}

@c @implementation
public func lstm_stream_process(
  _ stream: OpaquePointer!, _ steps: Int, _ x: UnsafePointer<Float>!, _ x_count: Int, _ y: UnsafeMutablePointer<Float>!,
  _ y_count: Int
) -> Int32 {
  boundaryWithoutAllocation { () throws(LSTMError) -> Int32 in
    let stream = try LSTMCAPI.stream(stream)
    guard steps >= 0, steps <= Size.limit else {
      throw .argument("steps: expected a number that fits into memory, got \(UInt(bitPattern: steps))")
    }
    let inputs = Carver.product(steps, stream.inputs)
    let outputs = Carver.product(steps, stream.outputs)
    guard x_count == inputs else { throw wrongCount("x_count", inputs, x_count) }
    guard y_count == outputs else { throw wrongCount("y_count", outputs, y_count) }
    if steps > 0 { try stream.process(steps, try required(x, "x"), try required(y, "y")) }
    return LSTM_OK
  }
}

private func wrongCount(_ name: StaticString, _ expected: Int, _ got: Int) -> LSTMError {
  .argument(name.text + ": expected \(expected), got \(UInt(bitPattern: got))")
}

@c @implementation
public func lstm_stream_reset(_ stream: OpaquePointer!) -> Int32 {
  boundaryWithoutAllocation { () throws(LSTMError) -> Int32 in
    try LSTMCAPI.stream(stream).reset()
    return LSTM_OK
  }
}

@c @implementation
public func lstm_stream_get_state(
  _ stream: OpaquePointer!, _ state: UnsafeMutablePointer<Float>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!
) -> Int32 {
  boundaryWithoutAllocation { () throws(LSTMError) -> Int32 in
    let stream = try LSTMCAPI.stream(stream)
    try deliver(stream.stateCount, to: state, "state", capacity: capacity, count: count) { (out) throws(LSTMError) in
      stream.copyState(to: out)
    }
    return LSTM_OK
  }
}

@c @implementation
public func lstm_stream_set_state(_ stream: OpaquePointer!, _ state: UnsafePointer<Float>!, _ count: Int) -> Int32 {
  boundaryWithoutAllocation { () throws(LSTMError) -> Int32 in
    let stream = try LSTMCAPI.stream(stream)
    guard count == stream.stateCount else { throw wrongCount("count", stream.stateCount, count) }
    if count > 0 { try stream.restoreState(from: try required(state, "state")) }
    return LSTM_OK
  }
}

@c @implementation
public func lstm_stream_free(_ stream: OpaquePointer!) { freeHandle(stream, .stream) }
