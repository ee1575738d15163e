public import CLSTM
internal import LSTMModels
internal import LSTMTensors
internal import LSTMTraining

// Training beside predictions.

@c @implementation
public func lstm_set_publishing(_ model: OpaquePointer!, _ on: UInt32) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try idleModel(model)
    guard on <= 1 else { throw .argument("on: expected 0 or 1, got \(on)") }
    try model.setPublishing(on == 1)
  }
}

@c @implementation
public func lstm_publish(_ model: OpaquePointer!, _ from: OpaquePointer!) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    guard let from = liveModel(from) else {
      let got: StaticString = from == nil ? "NULL" : "a pointer that is none, or was freed"
      throw .argument("from: expected a model, got \(got)")
    }
    try model.publish(from)
  }
}

@c @implementation
public func lstm_trainer_learn(
  _ trainer: OpaquePointer!, _ stream: OpaquePointer!, _ y: UnsafePointer<lstm_array>!,
  _ loss: UnsafeMutablePointer<Double>!
) -> Int32 {
  boundary(liveTrainer(trainer)?.supply) { () throws(LSTMError) in
    let trainer = try LSTMCAPI.trainer(trainer)
    let stream = try LSTMCAPI.stream(stream)
    let value = try trainer.learn(stream, try ArrayView.optional(y, "y"))
    loss?.pointee = value
  }
}
