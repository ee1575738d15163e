internal import LSTMKernels
public import CLSTM
internal import LSTMModels
internal import LSTMTensors
internal import Synchronization

@c @implementation
public func lstm_parameter_count(_ model: OpaquePointer!, _ count: UnsafeMutablePointer<Int>!) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    try required(count, "count").pointee = model.plan.entries.count
  }
}

@c @implementation
public func lstm_parameter_info(_ model: OpaquePointer!, _ index: Int, _ info: UnsafeMutablePointer<lstm_parameter>!)
  -> Int32
{
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
    throw .argument("name: expected a parameter, as \"\(model.plan.entries.first?.name ?? "")\", got \(quoted(name))")
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
      let pinned = model.pin()
      out.copy(from: pinned.weights.parameters.floats + entry.offset, count: entry.count)
      model.unpin(pinned)
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
    try model.checkTrainable()
    let entry = try parameter(model, name)
    let values = try required(values, "values")
    guard count == entry.count else {
      throw .argument("count: expected \(entry.count), got \(UInt(bitPattern: count))")
    }
    for i in 0..<count where !values[i].isFinite {
      throw .argument("values[\(i)]: expected a finite number, got \(Double(values[i]))")
    }
    (model.parameters.floats + entry.offset).copy(from: values, count: count)
    model.repack()
  }
}
