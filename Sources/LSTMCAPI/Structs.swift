internal import CLSTM
internal import LSTMTensors

/// A struct of the header that begins with its size and only ever grows at its end.
protocol SizedStruct {
  var struct_size: UInt32 { get set }
}

extension lstm_allocator: SizedStruct {}
extension lstm_array: SizedStruct {}
extension lstm_parameter: SizedStruct {}
extension lstm_options: SizedStruct {}
extension lstm_history: SizedStruct {}
extension lstm_data: SizedStruct {}
extension lstm_decoding: SizedStruct {}

/// More bytes than any later version of a struct will add.
private let growth = 1024

/// Fills a struct, of which the caller's program may know a longer version, with defaults.
func initialize<T: SizedStruct>(
  _ pointer: UnsafeMutablePointer<T>?, _ name: StaticString, size: Int, to value: T
) throws(LSTMError) {
  let pointer = try required(pointer, name)
  try checkSize(size, MemoryLayout<T>.size, "struct_size")
  var value = value
  value.struct_size = UInt32(size)
  let bytes = UnsafeMutableRawPointer(pointer)
  (bytes + MemoryLayout<T>.size).initializeMemory(as: UInt8.self, repeating: 0, count: size - MemoryLayout<T>.size)
  withUnsafeBytes(of: value) { bytes.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
}

/// - Parameter name: made only for an error, as a longer text is an allocation.
private func checkSize(_ size: Int, _ known: Int, _ name: @autoclosure () -> String) throws(LSTMError) {
  guard size >= known else {
    throw .argument(
      "\(name()): expected at least \(known), got \(UInt(bitPattern: size)): call the struct's init function")
  }
  guard size <= known + growth else {
    throw .version("\(name()): expected at most \(known + growth), got \(size)")
  }
}

/// Checks a caller's struct: its size, and that what this version does not know is zero.
func checked<T: SizedStruct>(_ pointer: UnsafePointer<T>?, _ name: ArrayName) throws(LSTMError) -> UnsafePointer<T> {
  guard let pointer else { throw .argument("\(name): expected a pointer, got NULL") }
  let size = Int(UnsafeRawPointer(pointer).loadUnaligned(as: UInt32.self))
  try checkSize(size, MemoryLayout<T>.size, name.spoken.text + ".struct_size")
  let bytes = UnsafeRawPointer(pointer).assumingMemoryBound(to: UInt8.self)
  for i in MemoryLayout<T>.size..<max(size, MemoryLayout<T>.size) where bytes[i] != 0 {
    throw .version("\(name): expected no fields beyond those of this version, got some that are set")
  }
  return pointer
}

extension ArrayView {
  /// A caller's array, with everything checked that can be.
  init(_ pointer: UnsafePointer<lstm_array>?, _ name: ArrayName) throws(LSTMError) {
    let array = try checked(pointer, name).pointee
    let element = try ArrayView.element(array.type, name)
    guard array.rank >= 1, array.rank <= UInt32(Shape.maxRank) else {
      throw .argument("\(name).rank: expected 1 to \(Shape.maxRank), got \(array.rank)")
    }
    guard array.reserved == 0 else { throw .version("\(name).reserved: expected 0, got \(array.reserved)") }
    var shape = Shape()
    var strides = Shape()
    var count = 1
    for axis in 0..<Int(array.rank) {
      let extent = array.extent(axis)
      guard extent >= 0 else { throw .argument("\(name).shape[\(axis)]: expected at least 0, got \(extent)") }
      shape.append(Int(extent))
      strides.append(Int(array.stride(axis)))
      let (product, overflow) = count.multipliedReportingOverflow(by: Int(extent))
      guard !overflow, product <= Size.limit else {
        throw .argument("\(name).shape: expected sizes that fit into memory, got \(extent) as extent \(axis)")
      }
      count = product
    }
    guard array.data != nil || count == 0 else { throw .argument("\(name).data: expected a pointer, got NULL") }
    self.init(
      name: name, element: element, data: array.data ?? UnsafeRawPointer(bitPattern: 64)!, shape: shape,
      strides: strides, lengths: array.lengths, mask: array.mask)
    try checkPadding()
  }

  /// The same where NULL means none.
  static func optional(_ pointer: UnsafePointer<lstm_array>?, _ name: ArrayName) throws(LSTMError) -> ArrayView? {
    pointer == nil ? nil : try ArrayView(pointer, name)
  }

  static func element(_ type: UInt32, _ name: ArrayName) throws(LSTMError) -> Element {
    switch Int32(bitPattern: type) {
    case LSTM_FLOAT32: return .float32
    case LSTM_FLOAT64: return .float64
    case LSTM_INT32: return .int32
    case LSTM_INT64: return .int64
    case LSTM_UINT8: return .uint8
    case LSTM_STRING: return .string
    default: throw .argument("\(name).type: expected LSTM_FLOAT32 (1) to LSTM_STRING (6), got \(type)")
    }
  }

  private func checkPadding() throws(LSTMError) {
    guard isPadded else { return }
    guard shape.rank >= 2 else {
      throw .argument("\(name).lengths: expected none for an array without timesteps, got some")
    }
    guard let lengths else { return }
    if mask != nil { throw .argument("\(name).mask: expected none beside lengths, got both") }
    for row in 0..<rows where lengths[row] < 0 || lengths[row] > Int64(shape[1]) {
      throw .argument("\(name).lengths[\(row)]: expected 0 to \(shape[1]), got \(lengths[row])")
    }
  }
}
