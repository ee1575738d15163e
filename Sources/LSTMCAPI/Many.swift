public import CLSTM
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMModels
internal import LSTMTensors
internal import LSTMTraining

// The calls on models of several inputs and outputs.

@c @implementation
public func lstm_data_init(_ data: UnsafeMutablePointer<lstm_data>!, _ size: Int) -> Int32 {
  boundary { () throws(LSTMError) in try initialize(data, "data", size: size, to: lstm_data()) }
}

/// One of the lists of a caller's data, of which the arrays behind the first go into `others`.
private func arrays(
  _ list: UnsafePointer<UnsafePointer<lstm_array>?>?, _ count: UInt32, _ name: StaticString, _ countName: StaticString,
  _ others: List<ArrayView>, mayLack: Bool = false
) throws(LSTMError) -> Arrays {
  guard count >= 1, count <= UInt32(Ports.most) else {
    throw .argument("\(countName): expected 1 to \(Ports.most), got \(count)")
  }
  guard let list else { throw .argument("\(name): expected a pointer, got NULL") }
  others.removeAll()
  func view(_ i: Int) throws(LSTMError) -> ArrayView {
    mayLack && list[i] == nil ? .none : try ArrayView(list[i], ArrayName(name, place: i))
  }
  for i in 1..<max(1, Int(count)) { try others.append(try view(i)) }
  return Arrays(try view(0), others)
}

/// What the model is to read.
func inputs(
  _ data: UnsafePointer<lstm_data>?, _ others: List<ArrayView> = List<ArrayView>()
) throws(LSTMError) -> Arrays {
  let data = try checkedData(data, "data")
  return try arrays(data.x, data.inputs, "data.x", "data.inputs", others)
}

private func checkedData(_ pointer: UnsafePointer<lstm_data>?, _ name: ArrayName) throws(LSTMError) -> lstm_data {
  let data = try checked(pointer, name).pointee
  guard data.reserved == 0 else { throw .version("\(name).reserved: expected 0, got \(data.reserved)") }
  return data
}

extension Examples {
  /// - Parameter name: "data" or "options.validation".
  init(
    _ pointer: UnsafePointer<lstm_data>?, _ name: ArrayName, _ lists: ArrayLists,
    classWeights: UnsafeBufferPointer<Double>?
  ) throws(LSTMError) {
    let data = try checkedData(pointer, name)
    self.init(
      x: try arrays(data.x, data.inputs, "data.x", "data.inputs", lists.x),
      y: try arrays(data.y, data.outputs, "data.y", "data.outputs", lists.y),
      weights: data.weights == nil
        ? nil : try arrays(data.weights, data.outputs, "data.weights", "data.outputs", lists.weights, mayLack: true),
      classWeights: classWeights)
  }

  fileprivate init(_ data: UnsafePointer<lstm_data>?, _ options: lstm_options?) throws(LSTMError) {
    if options?.sample_weights != nil {
      throw .argument("options.sample_weights: expected NULL, since data.weights gives the weights, got a pointer")
    }
    try self.init(data, "data", ArrayLists(), classWeights: try LSTMCAPI.classWeights(options))
  }
}

@c @implementation
public func lstm_adapt_many(_ model: OpaquePointer!, _ data: UnsafePointer<lstm_data>!) -> Int32 {
  boundary { () throws(LSTMError) in try idleModel(model).adapt(try inputs(data)) }
}

@c @implementation
public func lstm_output_shape_many(
  _ model: OpaquePointer!, _ data: UnsafePointer<lstm_data>!, _ output: UInt32,
  _ shape: UnsafeMutablePointer<Int64>!, _ rank: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    let count = model.ports.exits.count
    guard output < UInt32(count) else { throw .argument("output: expected 0 to \(count - 1), got \(output)") }
    try deliver(try model.outputShape(Int(output), for: try inputs(data)), shape, rank)
  }
}

@c @implementation
public func lstm_train_many(
  _ model: OpaquePointer!, _ data: UnsafePointer<lstm_data>!, _ options: UnsafePointer<lstm_options>!,
  _ history: UnsafeMutablePointer<lstm_history>!
) -> Int32 {
  boundaryWithCode { () throws(LSTMError) -> Int32 in
    let model = try LSTMCAPI.model(model)
    let given = try arrayOptions(options)
    let examples = try Examples(data, given)
    return try train(given, history) { (settings) throws(LSTMError) in try Fit.run(model, examples, settings) }
  }
}

@c @implementation
public func lstm_evaluate_many(
  _ model: OpaquePointer!, _ data: UnsafePointer<lstm_data>!, _ options: UnsafePointer<lstm_options>!,
  _ result: UnsafeMutablePointer<lstm_history>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    let given = try LSTMCAPI.options(options)
    let examples = try Examples(data, given)
    try evaluate(result) { () throws(LSTMError) in
      try Evaluation.evaluate(
        model, examples, batchSize: Int(given?.batch_size ?? 32), threads: Int(given?.threads ?? 0))
    }
  }
}

@c @implementation
public func lstm_trainer_step_many(
  _ trainer: OpaquePointer!, _ data: UnsafePointer<lstm_data>!, _ loss: UnsafeMutablePointer<Double>!
) -> Int32 {
  boundary(liveTrainer(trainer)?.supply) { () throws(LSTMError) in
    let trainer = try LSTMCAPI.trainer(trainer)
    let value = try trainer.step(
      try Examples(data, "data", trainer.lists, classWeights: trainer.classWeights))
    loss?.pointee = value
  }
}

@c @implementation
public func lstm_predict_many(
  _ model: OpaquePointer!, _ data: UnsafePointer<lstm_data>!, _ options: UnsafePointer<lstm_options>!,
  _ y: UnsafeMutablePointer<Float>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    let xs = try inputs(data)
    let options = try predictionOptions(options)
    let predictor = Predictor(model, Workers(threads: options.threads, areKept: false))
    try predict(predictor, xs, batchSize: options.batchSize, to: y, capacity: capacity, count: count)
  }
}

@c @implementation
public func lstm_predictor_run_many(
  _ predictor: OpaquePointer!, _ data: UnsafePointer<lstm_data>!, _ y: UnsafeMutablePointer<Float>!, _ capacity: Int,
  _ count: UnsafeMutablePointer<Int>!
) -> Int32 {
  boundary(livePredictor(predictor)?.supply) { () throws(LSTMError) in
    let predictor = try LSTMCAPI.predictor(predictor)
    let xs = try inputs(data, predictor.lists.x)
    try predict(predictor, xs, batchSize: predictorRows, to: y, capacity: capacity, count: count)
  }
}
