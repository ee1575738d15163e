public import CLSTM
internal import LSTMModels
internal import LSTMTensors

@c @implementation
public func lstm_decoding_init(_ decoding: UnsafeMutablePointer<lstm_decoding>!, _ struct_size: Int) -> Int32 {
  boundary { () throws(LSTMError) in
    var value = lstm_decoding()
    value.best = 1
    try initialize(decoding, "decoding", size: struct_size, to: value)
  }
}

private func decoding(_ pointer: UnsafePointer<lstm_decoding>?) throws(LSTMError) -> Decoding {
  guard pointer != nil else { return Decoding(beamWidth: 0, best: 1, blank: 0, areProbabilities: false) }
  let value = try checked(pointer, "decoding").pointee
  guard value.probabilities <= 1 else {
    throw .argument("decoding.probabilities: expected 0 or 1, got \(value.probabilities)")
  }
  guard value.reserved == 0 else { throw .version("decoding.reserved: expected 0, got \(value.reserved)") }
  return Decoding(
    beamWidth: Int(value.beam_width), best: Int(value.best), blank: Int(value.blank),
    areProbabilities: value.probabilities == 1)
}

/// Where the caller wants the answers.
private struct Place {
  let labels: UnsafeMutablePointer<Int64>?
  let capacity: Int
  let count: UnsafeMutablePointer<Int>?
  let scores: UnsafeMutablePointer<Double>?
  let scoreCapacity: Int

  func deliver(
    _ decoding: Decoding, rows: Int, steps: Int, _ write: (DecodedLabels) throws(LSTMError) -> Void
  ) throws(LSTMError) {
    let answers = try Size.product(rows, decoding.best)
    if capacity != 0, scores != nil, UInt(bitPattern: scoreCapacity) < UInt(answers) {
      throw .argument("log_capacity: expected at least \(answers), got \(scoreCapacity)")
    }
    try LSTMCAPI.deliver(
      try Size.product(answers, steps), to: labels, "labels", capacity: capacity, count: count
    ) { (out) throws(LSTMError) in
      try write(DecodedLabels(labels: out, room: steps, best: decoding.best, scores: scores))
    }
  }
}

@c @implementation
public func lstm_ctc_decode(
  _ outputs: UnsafePointer<lstm_array>!, _ decoding: UnsafePointer<lstm_decoding>!,
  _ labels: UnsafeMutablePointer<Int64>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!,
  _ log_probabilities: UnsafeMutablePointer<Double>!, _ log_capacity: Int
) -> Int32 {
  boundary { () throws(LSTMError) in
    let outputs = try ArrayView(outputs, "outputs")
    let decoding = try LSTMCAPI.decoding(decoding)
    let place = Place(
      labels: labels, capacity: capacity, count: count, scores: log_probabilities, scoreCapacity: log_capacity)
    let steps = try OutputDecoder.check(outputs, decoding)
    try place.deliver(decoding, rows: outputs.rows, steps: steps) { (answers) throws(LSTMError) in
      try OutputDecoder.decode(outputs, decoding, into: answers)
    }
  }
}

@c @implementation
public func lstm_decode(
  _ model: OpaquePointer!, _ x: UnsafePointer<lstm_array>!, _ decoding: UnsafePointer<lstm_decoding>!,
  _ labels: UnsafeMutablePointer<Int64>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!,
  _ log_probabilities: UnsafeMutablePointer<Double>!, _ log_capacity: Int
) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    let x = try ArrayView(x, "x")
    let decoding = try LSTMCAPI.decoding(decoding)
    let place = Place(
      labels: labels, capacity: capacity, count: count, scores: log_probabilities, scoreCapacity: log_capacity)
    let decoder = try ModelDecoder(model, x, decoding)
    try place.deliver(decoding, rows: x.rows, steps: decoder.steps) { (answers) throws(LSTMError) in
      try decoder.decode(into: answers)
    }
  }
}
