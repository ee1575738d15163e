internal import CLSTM
internal import LSTMModels
internal import LSTMTensors

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
  boundary { () throws(LSTMError) in
    let stream = try LSTMCAPI.stream(stream)
    let (inputs, outputs) = (try required(inputs, "inputs"), try required(outputs, "outputs"))
    (inputs.pointee, outputs.pointee) = (stream.inputs, stream.outputs)
  }
}

@c @implementation
public func lstm_stream_step(
  _ stream: OpaquePointer!, _ x: UnsafePointer<Float>!, _ x_count: Int, _ y: UnsafeMutablePointer<Float>!,
  _ y_count: Int
) -> Int32 {
  lstm_stream_process(stream, 1, x, x_count, y, y_count)
}

@c @implementation
public func lstm_stream_process(
  _ stream: OpaquePointer!, _ steps: Int, _ x: UnsafePointer<Float>!, _ x_count: Int,
  _ y: UnsafeMutablePointer<Float>!, _ y_count: Int
) -> Int32 {
  // When all is right nothing is allocated, not even the reserve; else the checks below say what is wrong.
  if let live = liveStream(stream), let x, let y, live.accepts(steps, x, x_count, y_count) {
    live.process(steps, x, y)
    return LSTM_OK
  }
  return boundary { () throws(LSTMError) in
    let stream = try LSTMCAPI.stream(stream)
    guard steps >= 0, steps <= Size.limit else {
      throw .argument("steps: expected a number that fits into memory, got \(UInt(bitPattern: steps))")
    }
    let inputs = Carver.product(steps, stream.inputs)
    let outputs = Carver.product(steps, stream.outputs)
    guard x_count == inputs else { throw wrongCount("x_count", inputs, x_count) }
    guard y_count == outputs else { throw wrongCount("y_count", outputs, y_count) }
    if steps == 0 { return }
    let x = try required(x, "x")
    _ = try required(y, "y")
    try stream.checkTokens(x, count: inputs)
  }
}

@c @implementation
public func lstm_stream_forecast(
  _ stream: OpaquePointer!, _ steps: Int, _ x: UnsafePointer<Float>!, _ x_count: Int,
  _ y: UnsafeMutablePointer<Float>!, _ y_count: Int
) -> Int32 {
  if let live = liveStream(stream), live.feedsBack, let x, let y, steps > 0, steps <= Size.limit,
    x_count == live.inputs, y_count == Carver.product(steps, live.outputs)
  {
    live.forecast(steps, x, y)
    return LSTM_OK
  }
  return boundary { () throws(LSTMError) in
    let stream = try LSTMCAPI.stream(stream)
    guard stream.feedsBack else {
      throw .unsupported(
        "stream: expected a model that reads as many numbers as it gives, got one that reads "
          + (stream.model.vocabularySize == nil ? "\(stream.inputs) and gives \(stream.outputs)" : "tokens"))
    }
    guard steps >= 0, steps <= Size.limit else {
      throw .argument("steps: expected a number that fits into memory, got \(UInt(bitPattern: steps))")
    }
    guard x_count == stream.inputs else { throw wrongCount("x_count", stream.inputs, x_count) }
    let outputs = Carver.product(steps, stream.outputs)
    guard y_count == outputs else { throw wrongCount("y_count", outputs, y_count) }
    _ = try required(x, "x")
    if steps > 0 { _ = try required(y, "y") }
  }
}

@c @implementation
public func lstm_stream_keep(_ stream: OpaquePointer!, _ steps: Int) -> Int32 {
  boundary { () throws(LSTMError) in
    let stream = try LSTMCAPI.stream(stream)
    guard steps >= 0, steps <= Size.limit else {
      throw .argument("steps: expected a number that fits into memory, got \(UInt(bitPattern: steps))")
    }
    try stream.keep(steps)
  }
}

@c @implementation
public func lstm_stream_set_threads(_ stream: OpaquePointer!, _ threads: UInt32) -> Int32 {
  boundary { () throws(LSTMError) in
    let stream = try LSTMCAPI.stream(stream)
    try stream.setThreads(try LSTMCAPI.threads(threads, "threads"))
  }
}

@c @implementation
public func lstm_streams_step(
  _ streams: UnsafePointer<OpaquePointer?>!, _ count: Int, _ x: UnsafePointer<Float>!, _ x_count: Int,
  _ y: UnsafeMutablePointer<Float>!, _ y_count: Int, _ threads: UInt32
) -> Int32 {
  boundary { () throws(LSTMError) in
    let threads = try LSTMCAPI.threads(threads, "threads")
    guard count >= 0, count <= Size.limit else {
      throw .argument("count: expected a number that fits into memory, got \(UInt(bitPattern: count))")
    }
    if count == 0 {
      guard x_count == 0 else { throw wrongCount("x_count", 0, x_count) }
      guard y_count == 0 else { throw wrongCount("y_count", 0, y_count) }
      return
    }
    let streams = try required(streams, "streams")
    let first = try member(streams, 0)
    let (inputs, outputs) = (Carver.product(count, first.inputs), Carver.product(count, first.outputs))
    guard x_count == inputs else { throw wrongCount("x_count", inputs, x_count) }
    guard y_count == outputs else { throw wrongCount("y_count", outputs, y_count) }
    let x = try required(x, "x")
    let y = try required(y, "y")
    let group = try first.prepareGroup()
    defer { group.release() }
    for i in 0..<count {
      switch try group.take(try member(streams, i)) {
      case .isTaken: throw .argument("streams[\(i)]: expected different streams, got one a second time")
      case .isOfAnotherModel: throw .argument("streams[\(i)]: expected streams of one model, got one of another")
      case nil: break
      }
    }
    try first.checkTokens(x, count: inputs)
    try group.step(x, y, threads: threads)
  }
}

private func member(_ streams: UnsafePointer<OpaquePointer?>, _ i: Int) throws(LSTMError) -> Stream {
  guard let stream = liveStream(streams[i]) else {
    let got: StaticString = streams[i] == nil ? "NULL" : "a pointer that is none, or was freed"
    throw .argument("streams[\(i)]: expected a stream, got \(got)")
  }
  return stream
}

private func wrongCount(_ name: StaticString, _ expected: Int, _ got: Int) -> LSTMError {
  .argument("\(name): expected \(expected), got \(UInt(bitPattern: got))")
}

@c @implementation
public func lstm_stream_reset(_ stream: OpaquePointer!) -> Int32 {
  // As in a step, nothing is allocated when all is right. So it is below.
  if let live = liveStream(stream) {
    live.reset()
    return LSTM_OK
  }
  return boundary { () throws(LSTMError) in _ = try LSTMCAPI.stream(stream) }
}

@c @implementation
public func lstm_stream_get_state(
  _ stream: OpaquePointer!, _ state: UnsafeMutablePointer<Float>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!
) -> Int32 {
  if let live = liveStream(stream), let state, UInt(bitPattern: capacity) >= UInt(live.stateCount), capacity != 0 {
    live.copyState(to: state)
    count?.pointee = live.stateCount
    return LSTM_OK
  }
  return boundary { () throws(LSTMError) in
    let stream = try LSTMCAPI.stream(stream)
    try deliver(stream.stateCount, to: state, "state", capacity: capacity, count: count) { stream.copyState(to: $0) }
  }
}

@c @implementation
public func lstm_stream_set_state(_ stream: OpaquePointer!, _ state: UnsafePointer<Float>!, _ count: Int) -> Int32 {
  if let live = liveStream(stream), let state, count == live.stateCount, live.accepts(state: state) {
    live.restoreState(from: state)
    return LSTM_OK
  }
  return boundary { () throws(LSTMError) in
    let stream = try LSTMCAPI.stream(stream)
    guard count == stream.stateCount else { throw wrongCount("count", stream.stateCount, count) }
    if count > 0 { try stream.checkState(try required(state, "state")) }
  }
}

@c @implementation
public func lstm_stream_free(_ stream: OpaquePointer!) { freeHandle(stream, .stream) }
