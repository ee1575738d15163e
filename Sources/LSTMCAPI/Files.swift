internal import LSTMKernels
public import CLSTM
internal import CLSTMShim
internal import LSTMModels
internal import LSTMTensors

private func weightsOnly(_ flags: UInt32) throws(LSTMError) -> Bool {
  guard flags <= UInt32(LSTM_SAVE_WEIGHTS_ONLY) else {
    throw .argument("flags: expected 0 or LSTM_SAVE_WEIGHTS_ONLY (1), got \(flags)")
  }
  return flags != 0
}

/// The operating system's refusal, with the path and the reason.
private func fileError(_ path: UnsafeBufferPointer<UInt8>, _ verb: StaticString, _ code: Int32) -> LSTMError {
  let reason = shim_error_name(code).map { String(cString: $0) } ?? "error \(code)"
  return .io("path: expected a file to \(verb), got \(quoted(path, limit: 300)): \(reason)")
}

@c @implementation
public func lstm_save(_ model: OpaquePointer!, _ path: UnsafePointer<CChar>!, _ flags: UInt32) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    let name = try text(path, "path")
    let bytes = try Checkpoint.write(model, weightsOnly: try weightsOnly(flags))
    try Memory.check()
    let code = shim_write_file(path, bytes.start, bytes.count)
    if code == SHIM_NO_MEMORY { throw .noMemory }
    if code != 0 { throw fileError(name, "write", code) }
  }
}

@c @implementation
public func lstm_save_buffer(
  _ model: OpaquePointer!, _ flags: UInt32, _ buffer: UnsafeMutableRawPointer!, _ capacity: Int,
  _ count: UnsafeMutablePointer<Int>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    let bytes = try Checkpoint.write(model, weightsOnly: try weightsOnly(flags))
    try Memory.check()
    let out = buffer?.assumingMemoryBound(to: UInt8.self)
    try deliver(bytes.count, to: out, "buffer", capacity: capacity, count: count) { (out) throws(LSTMError) in
      out.copy(from: bytes.start, count: bytes.count)
    }
  }
}

@c @implementation
public func lstm_load(
  _ path: UnsafePointer<CChar>!, _ allocator: UnsafePointer<lstm_allocator>!,
  _ model: UnsafeMutablePointer<OpaquePointer?>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let name = try text(path, "path")
    let allocator = try LSTMCAPI.allocator(allocator)
    let out = try required(model, "model")
    var data: UnsafeMutableRawPointer?
    var size = 0
    let code = shim_read_file(path, &data, &size)
    if code == SHIM_NO_MEMORY { throw .noMemory }
    guard code == 0, let data else { throw fileError(name, "read", code) }
    defer { shim_deallocate(data) }
    let bytes = UnsafeBufferPointer(start: data.assumingMemoryBound(to: UInt8.self), count: size)
    out.pointee = try makeHandle(try read(bytes, allocator, try currentKernels()), .model)
  }
}

@c @implementation
public func lstm_load_buffer(
  _ data: UnsafeRawPointer!, _ size: Int, _ allocator: UnsafePointer<lstm_allocator>!,
  _ model: UnsafeMutablePointer<OpaquePointer?>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    guard let data else { throw .argument("data: expected a pointer, got NULL") }
    guard size >= 0, size <= 1 << 47 else {
      throw .argument("size: expected one that fits into memory, got \(UInt(bitPattern: size))")
    }
    let allocator = try LSTMCAPI.allocator(allocator)
    let out = try required(model, "model")
    let bytes = UnsafeBufferPointer(start: data.assumingMemoryBound(to: UInt8.self), count: size)
    out.pointee = try makeHandle(try read(bytes, allocator, try currentKernels()), .model)
  }
}
