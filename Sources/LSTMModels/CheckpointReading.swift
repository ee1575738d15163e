public import LSTMDescription
public import LSTMKernels
public import LSTMTensors

extension Checkpoint {
  /// A model from the bytes of a file. Nothing in them is trusted: lengths, names, shapes and places must be those that
  /// `write` gives, and the checksum must be right.
  ///
  /// - Parameter compile: makes the model ready for training as this value says, and returns the lengths of its slots.
  public static func read(
    _ bytes: UnsafeBufferPointer<UInt8>, _ allocator: Allocator, _ kernels: Kernels,
    compile: (Model, Value) throws(LSTMError) -> [Int]
  ) throws(LSTMError) -> Model {
    let header = try self.header(in: bytes)
    do throws(LSTMError) {
      let root = try Document.parse(header, name: "header").root
      guard let metadata = root.member("__metadata__") else {
        throw LSTMError.argument("header: expected __metadata__, got none")
      }
      try checkVersion(metadata)
      guard let description = metadata.member("description")?.string else {
        throw LSTMError.argument("__metadata__.description: expected text, got something else")
      }
      let described = try Document.parse(description, name: "description").root
      let model = try Model.make(described, path: "description", allocator, kernels)
      let slots = try described.member("training").map { (value) throws(LSTMError) in try compile(model, value) } ?? []
      let data = UnsafeBufferPointer(rebasing: bytes[(8 + header.count)...])
      try restore(model, root, metadata, data, slots: slots)
      return model
    } catch {
      if case .argument(let text) = error { throw .format("a damaged model: \(text)") }
      throw error
    }
  }

  private static func header(in bytes: UnsafeBufferPointer<UInt8>) throws(LSTMError) -> UnsafeBufferPointer<UInt8> {
    guard bytes.count >= 8 else { throw .format("no model: expected at least 8 bytes, got \(bytes.count)") }
    var length: UInt64 = 0
    for i in 0..<8 { length |= UInt64(bytes[i]) << (8 * UInt64(i)) }
    let opening = opening.utf8CodeUnitCount
    guard length <= UInt64(bytes.count - 8), length >= UInt64(opening + checksumDigits) else {
      throw .format("no model, or cut short: expected a header of \(length) bytes, got \(bytes.count - 8) bytes in all")
    }
    let header = UnsafeBufferPointer(rebasing: bytes[8..<8 + Int(length)])
    guard self.opening.matches(header[..<opening]) else {
      throw .format("no model: expected a header that begins with its checksum, got another")
    }
    var sum: UInt32 = 0
    for digit in header[opening..<opening + checksumDigits] {
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): sum = sum << 4 | UInt32(digit - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f"): sum = sum << 4 | UInt32(digit - UInt8(ascii: "a") + 10)
      default: throw .format("a damaged model: expected a checksum of hexadecimal digits, got another sign")
      }
    }
    guard sum == checksum(bytes) else {
      throw .format("a damaged model: expected the checksum in its header, got another")
    }
    return header
  }

  private static func checkVersion(_ metadata: Value) throws(LSTMError) {
    let format = metadata.member("format")?.string
    guard let format, "liblstm".utf8.elementsEqual(format) else {
      throw .argument("__metadata__.format: expected \"liblstm\", got something else")
    }
    guard let version = metadata.member("format_version")?.string, let number = wholeNumber(version) else {
      throw .argument("__metadata__.format_version: expected a number, got something else")
    }
    guard formatVersion.matches(version) else {
      throw .version("file: expected format version 1, got \(number): it needs a newer library")
    }
  }

  /// The digits of a number, and nothing else.
  private static func wholeNumber(_ text: UnsafeBufferPointer<UInt8>) -> UInt64? {
    if text.isEmpty { return nil }
    var value: UInt64 = 0
    for digit in text {
      guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tens.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
      if overflow || carry { return nil }
      value = sum
    }
    return value
  }

  private static func wholeNumber(_ metadata: Value, _ key: StaticString) throws(LSTMError) -> UInt64 {
    guard let text = metadata.member(key)?.string, let number = wholeNumber(text) else {
      throw .argument("__metadata__.\(key): expected the digits of a number, got something else")
    }
    return number
  }

  private static func restore(
    _ model: Model, _ root: Value, _ metadata: Value, _ data: UnsafeBufferPointer<UInt8>, slots: [Int]
  ) throws(LSTMError) {
    var reader = TensorReader(root: root, data: data)
    var saved: UInt64 = 0
    if metadata.member("step") != nil {
      model.training.step = try wholeNumber(metadata, "step")
      model.training.epoch = try wholeNumber(metadata, "epoch")
      model.training.learningRate = Double(bitPattern: try wholeNumber(metadata, "learning_rate_bits"))
      saved = try wholeNumber(metadata, "slots")
      guard model.training.learningRate.isFinite, model.training.learningRate >= 0 else {
        throw .argument("__metadata__.learning_rate_bits: expected those of a finite number of at least 0, got others")
      }
      guard saved == 0 || saved == UInt64(slots.count) else {
        throw .argument("__metadata__.slots: expected 0 or \(slots.count), got \(saved)")
      }
      if metadata.member("average") != nil {
        model.training.servesAverage = try wholeNumber(metadata, "average") == 1 && saved > 0
      }
      try restoreProgress(model, metadata)
    }
    for tensor in try tensors(of: model) {
      if let data = try reader.take(tensor) { try read(tensor, from: data, into: model) }
    }
    for slot in 0..<Int(saved) {
      let buffer = try Buffer.make(model.allocator, slots[slot], of: Float.self)
      if let data = try reader.take(slotTensor(slot, slots[slot])) {
        buffer.base.copyMemory(from: data, byteCount: buffer.byteCount)
      }
      try Memory.append(buffer, to: &model.training.slots)
    }
    if model.training.begun != nil { try restoreFigures(model, &reader, try wholeNumber(metadata, "figures")) }
    try reader.finish()
    model.repack()
  }
}

extension Checkpoint {
  /// Where training is between the beginnings of two epochs, and what it waits for.
  private static func restoreProgress(_ model: Model, _ metadata: Value) throws(LSTMError) {
    if metadata.member("plateau_best_bits") != nil {
      var plateau = TrainingState.Plateau(best: Double(bitPattern: try wholeNumber(metadata, "plateau_best_bits")))
      plateau.wait = try wholeNumber(metadata, "plateau_wait")
      plateau.cooldown = try wholeNumber(metadata, "plateau_cooldown")
      guard plateau.wait < 1 << 53, plateau.cooldown < 1 << 53 else {
        throw .argument("__metadata__.plateau_wait: expected a number of epochs, got a larger one")
      }
      model.training.plateau = plateau
    }
    if metadata.member("epoch_batches") != nil {
      let batches = try wholeNumber(metadata, "epoch_batches")
      let samples = try wholeNumber(metadata, "epoch_samples")
      guard batches >= 1, batches <= samples, samples < 1 << 53 else {
        throw .argument("__metadata__.epoch_batches: expected 1 to epoch_samples (\(samples)), got \(batches)")
      }
      model.training.begun = TrainingState.BegunEpoch(batches: Int(batches), samples: Int(samples))
    }
  }

  private static func restoreFigures(_ model: Model, _ reader: inout TensorReader, _ count: UInt64) throws(LSTMError) {
    guard count >= 1, count <= UInt64(reader.data.count) else {
      throw .argument("__metadata__.figures: expected the number of figures, got \(count)")
    }
    guard let data = try reader.take(figuresTensor(Int(count))) else { return }
    let to = try model.training.figures.extend(by: Int(count))
    for i in 0..<Int(count) {
      to[i] = data.loadUnaligned(fromByteOffset: 8 * i, as: Double.self)
      guard to[i].isFinite, to[i].magnitude < 0x1p53 || i <= model.sumCount else {
        throw .argument("\"training.figures\"[\(i)]: expected a finite number below 2^53, got \(to[i])")
      }
    }
  }
}

extension Model {
  /// Of the figures of an epoch, those behind the first that are sums of losses: of several outputs one each.
  fileprivate var sumCount: Int { ports.exits.count > 1 ? ports.exits.count : 0 }
}

/// Takes tensors out of a file in the order in which they were written, one right after the other.
private struct TensorReader {
  let root: Value
  let data: UnsafeBufferPointer<UInt8>
  private var offset = 0
  private var taken = 0

  init(root: Value, data: UnsafeBufferPointer<UInt8>) { (self.root, self.data) = (root, data) }

  /// Where the numbers of a tensor are; nil if it has none.
  mutating func take(_ expected: Tensor) throws(LSTMError) -> UnsafeRawPointer? {
    let name = expected.name
    guard let tensor = root.member(named: name), tensor.isObject, tensor.count == 3 else {
      throw .argument("\(quoted(name.utf8)): expected a tensor, got none")
    }
    let type = tensor.member("dtype")?.string
    guard let type, expected.type.name.matches(type) else {
      throw .argument("\(quoted(name.utf8)).dtype: expected \"\(expected.type.name)\", got something else")
    }
    guard let extents = tensor.member("shape"), try extents.isList(of: expected.shape) else {
      throw .argument("\(quoted(name.utf8)).shape: expected \(expected.shape.text), got something else")
    }
    let end = offset + expected.byteCount
    guard let offsets = tensor.member("data_offsets"), try offsets.isList(of: Shape(offset, end)), end <= data.count
    else { throw .argument("\(quoted(name.utf8)).data_offsets: expected \(offset) and \(end), got others") }
    defer { offset = end }
    taken += 1
    try Memory.check()
    return expected.byteCount > 0 ? data.baseAddress.map { UnsafeRawPointer($0 + offset) } : nil
  }

  func finish() throws(LSTMError) {
    guard root.count == taken + 1 else { throw .argument("header: expected \(taken) tensors, got \(root.count - 1)") }
    guard offset == data.count else { throw .argument("expected \(offset) bytes of data, got \(data.count)") }
  }
}

extension Value {
  /// Whether this is a list of just these numbers.
  fileprivate func isList(of numbers: Shape) throws(LSTMError) -> Bool {
    guard isArray, count == numbers.rank else { return false }
    var axis = 0
    var fits = true
    try forEach { (item) throws(LSTMError) in
      fits = fits && item.number == Double(numbers[axis])
      axis += 1
    }
    return fits
  }
}
