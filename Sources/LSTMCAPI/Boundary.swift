internal import LSTMKernels
internal import CLSTM
internal import CLSTMShim
internal import LSTMDescription
internal import LSTMModels
internal import LSTMTensors
internal import LSTMTraining

/// Runs the body of an API function: the only place where errors become codes.
///
/// Memory is set aside first, so that no allocation in the body can end the process.
///
/// - Parameter supply: what the object that the call is on has set aside already.
func boundaryWithCode(_ supply: Supply? = nil, _ body: () throws(LSTMError) -> Int32) -> Int32 {
  guard Memory.open(supply) else { return record(.noMemory) }
  defer { Memory.close() }
  do throws(LSTMError) { return try body() } catch { return record(error) }
}

/// For a body that has nothing to say but that it is done.
func boundary(_ supply: Supply? = nil, _ body: () throws(LSTMError) -> Void) -> Int32 {
  boundaryWithCode(supply) { () throws(LSTMError) -> Int32 in
    try body()
    return LSTM_OK
  }
}

/// Keeps the text for lstm_last_error and gives the code.
private func record(_ error: LSTMError) -> Int32 {
  switch error {
  case .argument(let text): keep(text, LSTM_ERR_ARG)
  case .type(let text): keep(text, LSTM_ERR_TYPE)
  // Not a Message: its making would need memory.
  case .noMemory: keep(staticBytes("memory: expected more than there is"), LSTM_ERR_NOMEM)
  case .io(let text): keep(text, LSTM_ERR_IO)
  case .format(let text): keep(text, LSTM_ERR_FORMAT)
  case .version(let text): keep(text, LSTM_ERR_VERSION)
  case .diverged(let text): keep(text, LSTM_ERR_DIVERGED)
  case .unsupported(let text): keep(text, LSTM_ERR_UNSUPPORTED)
  case .source(let text): keep(text, LSTM_ERR_SOURCE)
  case .internal(let text): keep(text, LSTM_ERR_INTERNAL)
  }
}

private func keep(_ message: Message, _ code: Int32) -> Int32 { keep(message.text.utf8, code) }

private func staticBytes(_ text: StaticString) -> UnsafeBufferPointer<UInt8> {
  UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
}

private func keep(_ text: some Sequence<UInt8>, _ code: Int32) -> Int32 {
  guard let out = shim_error_text() else { return code }
  var length = 0
  for unit in text {
    if length == Int(SHIM_ERROR_SIZE) - 1 { break }
    out[length] = CChar(bitPattern: unit)
    length += 1
  }
  // A character cut in two would not be UTF-8.
  while length == Int(SHIM_ERROR_SIZE) - 1, length > 0, UInt8(bitPattern: out[length - 1]) >= 0x80 { length -= 1 }
  out[length] = 0
  return code
}

// MARK: Handles

enum HandleKind: UInt32 {
  case model = 1
  case trainer, stream, predictor, generator

  var name: StaticString {
    switch self {
    case .model: "model"
    case .trainer: "trainer"
    case .stream: "stream"
    case .predictor: "predictor"
    case .generator: "generator"
    }
  }
}

/// Names an object; from then on the handle keeps it alive.
func makeHandle(_ object: AnyObject, _ kind: HandleKind) throws(LSTMError) -> OpaquePointer {
  try Memory.check()
  let reference = Unmanaged.passRetained(object)
  guard let handle = shim_handle_new(reference.toOpaque(), kind.rawValue) else {
    reference.release()
    throw .noMemory
  }
  return OpaquePointer(handle)
}

@inline(__always) private func object<T: AnyObject>(_ handle: OpaquePointer?, _ kind: HandleKind) throws(LSTMError) -> T
{
  guard let object = shim_handle_object(UnsafeRawPointer(handle), kind.rawValue) else {
    let got: StaticString = handle == nil ? "NULL" : "a pointer that is none, or was freed"
    throw .argument("\(kind.name): expected a \(kind.name), got \(got)")
  }
  return Unmanaged<T>.fromOpaque(object).takeUnretainedValue()
}

@inline(__always) func model(_ handle: OpaquePointer?) throws(LSTMError) -> Model { try object(handle, .model) }
@inline(__always) func trainer(_ handle: OpaquePointer?) throws(LSTMError) -> Trainer { try object(handle, .trainer) }
@inline(__always) func stream(_ handle: OpaquePointer?) throws(LSTMError) -> Stream { try object(handle, .stream) }
@inline(__always) func predictor(_ handle: OpaquePointer?) throws(LSTMError) -> Predictor {
  try object(handle, .predictor)
}
@inline(__always) func generator(_ handle: OpaquePointer?) throws(LSTMError) -> TokenGenerator {
  try object(handle, .generator)
}

/// The object of that handle, if there is one.
@inline(__always) private func live<T: AnyObject>(_ handle: OpaquePointer?, _ kind: HandleKind) -> T? {
  shim_handle_object(UnsafeRawPointer(handle), kind.rawValue).map {
    Unmanaged<T>.fromOpaque($0).takeUnretainedValue()
  }
}
func liveModel(_ handle: OpaquePointer?) -> Model? { live(handle, .model) }
@inline(__always) func liveStream(_ handle: OpaquePointer?) -> Stream? { live(handle, .stream) }
func liveTrainer(_ handle: OpaquePointer?) -> Trainer? { live(handle, .trainer) }
func livePredictor(_ handle: OpaquePointer?) -> Predictor? { live(handle, .predictor) }
func liveGenerator(_ handle: OpaquePointer?) -> TokenGenerator? { live(handle, .generator) }

func freeHandle(_ handle: OpaquePointer?, _ kind: HandleKind) {
  guard let object = shim_handle_free(UnsafeRawPointer(handle), kind.rawValue) else { return }
  Unmanaged<AnyObject>.fromOpaque(object).release()
}

// MARK: Arguments

func required<T>(_ pointer: UnsafeMutablePointer<T>?, _ name: StaticString) throws(LSTMError) -> UnsafeMutablePointer<T>
{
  guard let pointer else { throw .argument("\(name): expected a pointer, got NULL") }
  return pointer
}

func required<T>(_ pointer: UnsafePointer<T>?, _ name: StaticString) throws(LSTMError) -> UnsafePointer<T> {
  guard let pointer else { throw .argument("\(name): expected a pointer, got NULL") }
  return pointer
}

/// The bytes of the caller's text, without the zero at its end.
func text(_ pointer: UnsafePointer<CChar>?, _ name: StaticString) throws(LSTMError) -> UnsafeBufferPointer<UInt8> {
  let start = UnsafeRawPointer(try required(pointer, name)).assumingMemoryBound(to: UInt8.self)
  var count = 0
  while start[count] != 0 { count += 1 }
  return UnsafeBufferPointer(start: start, count: count)
}

/// Gives `needed` elements to a caller who has room for `capacity`, by the rule of the header's (buffer, capacity, count).
func deliver<T>(
  _ needed: Int, to buffer: UnsafeMutablePointer<T>?, _ name: StaticString, capacity: Int,
  count: UnsafeMutablePointer<Int>?, _ write: (UnsafeMutablePointer<T>) throws(LSTMError) -> Void
) throws(LSTMError) {
  // size_t reaches Swift as Int: what is negative here is larger than any memory, and so large enough.
  if capacity == 0 {
    count?.pointee = needed
    return
  }
  guard let buffer else {
    throw .argument(
      "\(name): expected a pointer for capacity \(UInt(bitPattern: capacity)), got NULL")
  }
  guard UInt(bitPattern: capacity) >= UInt(needed) else {
    count?.pointee = needed
    throw .argument("capacity: expected at least \(needed), got \(capacity)")
  }
  try write(buffer)
  count?.pointee = needed
}

/// The same where the elements are there. Whoever holds them must outlive the call.
func deliver<T: BitwiseCopyable>(
  _ elements: UnsafeBufferPointer<T>, to buffer: UnsafeMutablePointer<T>?, _ name: StaticString, capacity: Int,
  count: UnsafeMutablePointer<Int>?
) throws(LSTMError) {
  try deliver(elements.count, to: buffer, name, capacity: capacity, count: count) { (out) throws(LSTMError) in
    if let from = elements.baseAddress { out.copy(from: from, count: elements.count) }
  }
}

/// The same for text, which gets a zero byte at its end.
func deliver(
  _ writer: Writer, to buffer: UnsafeMutablePointer<CChar>?, capacity: Int, count: UnsafeMutablePointer<Int>?
) throws(LSTMError) {
  try Memory.check()
  // The caller may have given the only reference: it must outlive the pointer into it.
  defer { withExtendedLifetime(writer) {} }
  let text = writer.text
  try deliver(text.count + 1, to: buffer, "buffer", capacity: capacity, count: count) { (out) throws(LSTMError) in
    let bytes = UnsafeMutableRawPointer(out).assumingMemoryBound(to: UInt8.self)
    if let from = text.baseAddress { bytes.copy(from: from, count: text.count) }
    bytes[text.count] = 0
  }
}
