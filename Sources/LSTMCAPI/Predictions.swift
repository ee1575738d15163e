public import CLSTM
internal import LSTMModels
internal import LSTMTensors

/// Predicts for arrays into the caller's memory.
func predict(
  _ predictor: Predictor, _ xs: Arrays, batchSize: Int, to y: UnsafeMutablePointer<Float>?, capacity: Int,
  count: UnsafeMutablePointer<Int>?
) throws(LSTMError) {
  let needed = try predictor.take(xs)
  try deliver(needed, to: y, "y", capacity: capacity, count: count) { (out) throws(LSTMError) in
    try predictor.predict(rows: xs[0].rows, batchSize: batchSize, into: out)
  }
}

@c @implementation
public func lstm_predict(
  _ model: OpaquePointer!, _ x: UnsafePointer<lstm_array>!, _ options: UnsafePointer<lstm_options>!,
  _ y: UnsafeMutablePointer<Float>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    try model.checkSingle("model", "lstm_predict_many")
    let x = Arrays(try ArrayView(x, "x"))
    let options = try predictionOptions(options)
    let predictor = Predictor(model, Workers(threads: options.threads, areKept: false))
    try predict(predictor, x, batchSize: options.batchSize, to: y, capacity: capacity, count: count)
  }
}

@c @implementation
public func lstm_predictor_create(
  _ model: OpaquePointer!, _ threads: UInt32, _ predictor: UnsafeMutablePointer<OpaquePointer?>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    let threads = try LSTMCAPI.threads(threads, "threads")
    let out = try required(predictor, "predictor")
    out.pointee = try makeHandle(
      Predictor(model, Workers(threads: threads, areKept: true), try Supply.make()), .predictor)
  }
}

/// Rows of a batch share the reading of the weights; past this many more do not help.
let predictorRows = 128

@c @implementation
public func lstm_predictor_run(
  _ predictor: OpaquePointer!, _ x: UnsafePointer<lstm_array>!, _ y: UnsafeMutablePointer<Float>!, _ capacity: Int,
  _ count: UnsafeMutablePointer<Int>!
) -> Int32 {
  boundary(livePredictor(predictor)?.supply) { () throws(LSTMError) in
    let predictor = try LSTMCAPI.predictor(predictor)
    try predictor.model.checkSingle("predictor", "lstm_predictor_run_many")
    let x = Arrays(try ArrayView(x, "x"))
    try predict(predictor, x, batchSize: predictorRows, to: y, capacity: capacity, count: count)
  }
}

@c @implementation
public func lstm_predictor_free(_ predictor: OpaquePointer!) { freeHandle(predictor, .predictor) }
