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

@c @implementation
public func lstm_compress(
  _ model: OpaquePointer!, _ format: UInt32, _ compressed: UnsafeMutablePointer<OpaquePointer?>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    guard format == UInt32(LSTM_BF16) || format == UInt32(LSTM_INT8) else {
      throw .argument("format: expected LSTM_BF16 (1) or LSTM_INT8 (2), got \(format)")
    }
    let out = try required(compressed, "compressed")
    out.pointee = try makeHandle(
      try model.compressed(format == UInt32(LSTM_BF16) ? .bfloat16 : .int8), .model)
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
  boundary { () throws(LSTMError) in try idleModel(model).adapt(Arrays(try ArrayView(x, "x"))) }
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
    try model.checkSingle("model", "lstm_output_shape_many")
    try deliver(try model.outputShape(for: Arrays(try ArrayView(x, "x"))), shape, rank)
  }
}

func deliver(
  _ result: Shape, _ shape: UnsafeMutablePointer<Int64>?, _ rank: UnsafeMutablePointer<UInt32>?
) throws(LSTMError) {
  let (shape, rank) = (try required(shape, "shape"), try required(rank, "rank"))
  for axis in 0..<result.rank { shape[axis] = Int64(result[axis]) }
  rank.pointee = UInt32(result.rank)
}
