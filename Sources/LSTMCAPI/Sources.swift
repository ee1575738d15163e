internal import LSTMKernels
public import CLSTM
internal import LSTMDescription
internal import LSTMModels
internal import LSTMTensors
internal import LSTMTraining

/// What the caller's function gives as batches.
private func source(
  _ next: lstm_source?, _ user: UnsafeMutableRawPointer?, _ options: lstm_options?
) throws(LSTMError) -> CalledSource {
  guard let next else { throw .argument("source: expected a function, got NULL") }
  if options?.sample_weights != nil {
    throw .argument("options.sample_weights: expected NULL, since the source gives the weights, got a pointer")
  }
  let limit = options?.steps_per_epoch ?? 0
  guard limit >= 0, limit <= Size.limit else {
    throw .argument("options.steps_per_epoch: expected 0 to \(Size.limit), got \(UInt(bitPattern: limit))")
  }
  let classWeights = try classWeights(options)
  return CalledSource(limit: limit) { (epoch, batch) throws(LSTMError) -> Examples? in
    var (x, y, weights) = (lstm_array(), lstm_array(), lstm_array())
    let size = UInt32(MemoryLayout<lstm_array>.size)
    (x.struct_size, y.struct_size, weights.struct_size) = (size, size, size)
    let code = next(epoch, batch, &x, &y, &weights, user)
    if code == LSTM_SOURCE_END { return nil }
    guard code == LSTM_OK else {
      throw .source("source: expected 0 or LSTM_SOURCE_END (1), got \(code) for batch \(batch) of epoch \(epoch)")
    }
    return Examples(
      x: try ArrayView(&x, "x"), y: try ArrayView(&y, "y"),
      weights: weights.data == nil ? nil : try ArrayView(&weights, "weights"), classWeights: classWeights)
  }
}

@c @implementation
public func lstm_train_from(
  _ model: OpaquePointer!, _ next: lstm_source!, _ user: UnsafeMutableRawPointer!,
  _ options: UnsafePointer<lstm_options>!, _ history: UnsafeMutablePointer<lstm_history>!
) -> Int32 {
  boundaryWithCode { () throws(LSTMError) -> Int32 in
    let model = try LSTMCAPI.model(model)
    let given = try LSTMCAPI.options(options)
    let source = try source(next, user, given)
    if let given, given.validation_split != 0 {
      throw .argument(
        "options.validation_split: expected 0 for data of a source, got \(given.validation_split)")
    }
    return try train(given, history) { (settings) throws(LSTMError) in try Fit.run(model, source, settings) }
  }
}

@c @implementation
public func lstm_evaluate_from(
  _ model: OpaquePointer!, _ next: lstm_source!, _ user: UnsafeMutableRawPointer!,
  _ options: UnsafePointer<lstm_options>!, _ result: UnsafeMutablePointer<lstm_history>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    let given = try LSTMCAPI.options(options)
    let source = try source(next, user, given)
    try evaluate(result) { () throws(LSTMError) in
      try Evaluation.evaluate(model, source, threads: Int(given?.threads ?? 0))
    }
  }
}

// MARK: The model's training state

@c @implementation
public func lstm_learning_rate(_ model: OpaquePointer!, _ rate: UnsafeMutablePointer<Double>!) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    try model.checkCompiled()
    try required(rate, "rate").pointee = model.training.learningRate
  }
}

@c @implementation
public func lstm_set_learning_rate(_ model: OpaquePointer!, _ rate: Double) -> Int32 {
  boundary { () throws(LSTMError) in try LSTMCAPI.model(model).setLearningRate(rate) }
}

@c @implementation
public func lstm_serve_average(_ model: OpaquePointer!, _ average: UInt32) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try idleModel(model)
    guard average <= 1 else { throw .argument("average: expected 0 or 1, got \(average)") }
    try model.serveAverage(average == 1)
  }
}
