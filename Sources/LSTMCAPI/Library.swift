public import CLSTM
internal import CLSTMShim
internal import LSTMKernels
internal import LSTMTensors
internal import Synchronization

/// Static, zero-terminated.
func staticText(_ text: StaticString) -> UnsafePointer<CChar> {
  UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
}

@c @implementation
public func lstm_version() -> UnsafePointer<CChar>! { staticText("0.1.0") }

@c @implementation
public func lstm_build_info() -> UnsafePointer<CChar>! {
  #if hasFeature(Embedded)
    return staticText("liblstm 0.1.0, release, kernels: baseline avx2 avx512 on x86-64, neon on aarch64")
  #else
    return staticText("liblstm 0.1.0, checked, kernels: baseline avx2 avx512 on x86-64, neon on aarch64")
  #endif
}

@c @implementation
public func lstm_strerror(_ code: Int32) -> UnsafePointer<CChar>! {
  switch code {
  case LSTM_OK: staticText("done")
  case LSTM_STOPPED: staticText("stopped by the callback")
  case LSTM_ERR_ARG: staticText("invalid argument")
  case LSTM_ERR_TYPE: staticText("wrong element type")
  case LSTM_ERR_NOMEM: staticText("out of memory")
  case LSTM_ERR_IO: staticText("input or output failed")
  case LSTM_ERR_FORMAT: staticText("not a model, or damaged")
  case LSTM_ERR_VERSION: staticText("of a newer version")
  case LSTM_ERR_DIVERGED: staticText("training diverged")
  case LSTM_ERR_UNSUPPORTED: staticText("not possible with this model or machine")
  case LSTM_ERR_INTERNAL: staticText("defect of the library")
  case LSTM_ERR_SOURCE: staticText("the data callback failed")
  default: staticText("unknown code")
  }
}

@c @implementation
public func lstm_last_error() -> UnsafePointer<CChar>! { UnsafePointer(shim_error_text()) }

// MARK: Kernels

/// The name of the chosen set, a static text of its table; 0 until one is chosen or asked for.
private let chosenKernels = Atomic<UInt>(0)

/// The set that the next model uses.
func currentKernels() throws(LSTMError) -> Kernels {
  let chosen = UnsafePointer<CChar>(bitPattern: chosenKernels.load(ordering: .acquiring))
  guard case .found(let kernels) = Kernels.named(chosen ?? staticText("auto")) else {
    throw .internal("no kernels for this processor")
  }
  // Asking the processor takes time, in a virtual machine most of all.
  if chosen == nil {
    _ = chosenKernels.compareExchange(
      expected: 0, desired: UInt(bitPattern: kernels.name), ordering: .acquiringAndReleasing)
  }
  return kernels
}

@c @implementation
public func lstm_use_kernels(_ name: UnsafePointer<CChar>!) -> Int32 {
  boundary { () throws(LSTMError) in
    let given = try text(name, "name")
    switch Kernels.named(name) {
    case .found(let kernels): chosenKernels.store(UInt(bitPattern: kernels.name), ordering: .releasing)
    case .missing:
      throw .unsupported("name: expected kernels that this processor and build have, got \(quoted(given))")
    case .unknown:
      throw .argument("name: expected \"auto\", \"baseline\", \"avx2\", \"avx512\" or \"neon\", got \(quoted(given))")
    }
  }
}

@c @implementation
public func lstm_kernels() -> UnsafePointer<CChar>! {
  guard let kernels = try? currentKernels() else { return staticText("none") }
  return kernels.name
}

// MARK: Structs

@c @implementation
public func lstm_array_init(
  _ array: UnsafeMutablePointer<lstm_array>!, _ struct_size: Int, _ type: UInt32, _ data: UnsafeRawPointer!,
  _ rank: UInt32, _ shape: UnsafePointer<Int64>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    _ = try required(array, "array")
    let element = try ArrayView.element(type, "array")
    guard rank >= 1, rank <= UInt32(Shape.maxRank) else {
      throw .argument("rank: expected 1 to \(Shape.maxRank), got \(rank)")
    }
    let shape = try required(shape, "shape")
    if data == nil { throw .argument("data: expected a pointer, got NULL") }
    var value = lstm_array()
    (value.type, value.rank, value.data) = (type, rank, data)
    var stride = Int64(element.size)
    for axis in (0..<Int(rank)).reversed() {
      guard shape[axis] >= 0 else { throw .argument("shape[\(axis)]: expected at least 0, got \(shape[axis])") }
      value.setAxis(axis, extent: shape[axis], stride: stride)
      let (next, overflow) = stride.multipliedReportingOverflow(by: max(1, shape[axis]))
      guard !overflow, next <= Int64(Size.limit) else {
        throw .argument("shape[\(axis)]: expected sizes that fit into memory, got \(shape[axis])")
      }
      stride = next
    }
    try initialize(array, "array", size: struct_size, to: value)
  }
}

@c @implementation
public func lstm_options_init(_ options: UnsafeMutablePointer<lstm_options>!, _ struct_size: Int) -> Int32 {
  boundary { () throws(LSTMError) in
    var value = lstm_options()
    (value.batch_size, value.epochs, value.shuffle) = (32, 1, 1)
    (value.restore_best, value.progress_batches, value.log_level) = (1, 1, LSTM_LOG_INFO)
    value.monitor = staticText("val_loss")
    (value.plateau_patience, value.plateau_factor, value.plateau_min_delta) = (10, 0.1, 1e-4)
    value.plateau_monitor = staticText("val_loss")
    try initialize(options, "options", size: struct_size, to: value)
  }
}

@c @implementation
public func lstm_history_init(
  _ history: UnsafeMutablePointer<lstm_history>!, _ struct_size: Int, _ values: UnsafeMutablePointer<Double>!,
  _ capacity: Int
) -> Int32 {
  boundary { () throws(LSTMError) in
    var value = lstm_history()
    _ = try required(history, "history")
    value.values = try required(values, "values")
    guard capacity >= 1 else { throw .argument("capacity: expected at least 1, got \(UInt(bitPattern: capacity))") }
    value.capacity = capacity
    try initialize(history, "history", size: struct_size, to: value)
  }
}
