internal import CLSTMShim
internal import LSTMDescription
public import LSTMTensors

/// A model as a safetensors file: 8 bytes of header length, a JSON header, and the numbers.
///
/// The header begins with the checksum, at a place that is always the same; docs/file-format.md has the whole layout.
/// - Source: the safetensors format, github.com/huggingface/safetensors.
public enum Checkpoint {
  static let formatVersion: StaticString = "1"
  /// What every header begins with; the eight hexadecimal digits of the checksum follow.
  static let opening: StaticString = "{\"__metadata__\": {\"checksum\": \""
  static let checksumDigits = 8

  /// - Parameter weightsOnly: leave out the optimizer's state and the counters.
  public static func write(_ model: Model, weightsOnly: Bool) throws(LSTMError) -> List<UInt8> {
    let header = try header(of: model, weightsOnly: weightsOnly)
    let slots = savedSlots(model, weightsOnly: weightsOnly)
    let file = List<UInt8>(model.allocator)
    var size = 8 + header.count
    for tensor in try tensors(of: model) { size = try Size.sum(size, tensor.byteCount) }
    for slot in 0..<slots { size = try Size.sum(size, model.training.slots[slot].byteCount) }
    let figures = savedFigures(model, weightsOnly: weightsOnly)
    size = try Size.sum(size, figures.count)
    try file.reserve(size)
    for byte in 0..<8 { try file.append(UInt8(truncatingIfNeeded: header.count >> (8 * byte))) }
    try file.append(header.elements)
    let pinned = model.pin()
    defer { model.unpin(pinned) }
    for tensor in try tensors(of: model) { try append(tensor, of: pinned.weights.parameters, to: file) }
    for slot in 0..<slots { try file.append(floats(model.training.slots[slot])) }
    try file.append(figures)
    let place = 8 + opening.utf8CodeUnitCount
    let digits: StaticString = "0123456789abcdef"
    let sum = checksum(file.elements)
    for i in 0..<checksumDigits { file[place + i] = digits.utf8Start[Int(sum >> (28 - 4 * UInt32(i)) & 15)] }
    return file
  }

  /// The arrays of optimizer state in the file: before the first step they hold nothing yet.
  private static func savedSlots(_ model: Model, weightsOnly: Bool) -> Int {
    weightsOnly || model.training.step == 0 ? 0 : model.training.slots.count
  }

  /// The figures of an epoch that was begun, as bytes.
  private static func savedFigures(_ model: Model, weightsOnly: Bool) -> UnsafeBufferPointer<UInt8> {
    let figures = model.training.figures
    let count = weightsOnly || model.training.begun == nil ? 0 : figures.count
    return UnsafeBufferPointer(
      start: UnsafeRawPointer(figures.start).assumingMemoryBound(to: UInt8.self),
      count: count * MemoryLayout<Double>.stride)
  }

  static func floats(_ buffer: Buffer, _ first: Int, _ count: Int) -> UnsafeBufferPointer<UInt8> {
    let start = UnsafeRawPointer(buffer.floats + first).assumingMemoryBound(to: UInt8.self)
    return UnsafeBufferPointer(start: start, count: count * 4)
  }

  private static func floats(_ slot: Buffer) -> UnsafeBufferPointer<UInt8> {
    floats(slot, 0, slot.byteCount / MemoryLayout<Float>.stride)
  }

  /// The JSON header, with a checksum of zeros, filled with spaces to a multiple of 8 bytes.
  private static func header(of model: Model, weightsOnly: Bool) throws(LSTMError) -> List<UInt8> {
    let writer = Writer()
    try writer.open("{")
    try writer.key("__metadata__")
    try writer.open("{")
    try writer.key("checksum")
    try writer.string("00000000")
    try writer.key("format")
    try writer.string("liblstm")
    try writer.key("format_version")
    try writer.string(formatVersion.text)
    try writer.key("description")
    try writer.string(try model.describe())
    if !weightsOnly, model.training.description != nil {
      try writer.key("step")
      try writer.string("\(model.training.step)")
      try writer.key("epoch")
      try writer.string("\(model.training.epoch)")
      // The bits, so that not one is lost on the way through decimals.
      try writer.key("learning_rate_bits")
      try writer.string("\(model.training.learningRate.bitPattern)")
      try writer.key("slots")
      try writer.string("\(savedSlots(model, weightsOnly: weightsOnly))")
      if model.training.servesAverage {
        try writer.key("average")
        try writer.string("1")
      }
      if let plateau = model.training.plateau {
        try writer.key("plateau_best_bits")
        try writer.string("\(plateau.best.bitPattern)")
        try writer.key("plateau_wait")
        try writer.string("\(plateau.wait)")
        try writer.key("plateau_cooldown")
        try writer.string("\(plateau.cooldown)")
      }
      if let begun = model.training.begun {
        try writer.key("epoch_batches")
        try writer.string("\(begun.batches)")
        try writer.key("epoch_samples")
        try writer.string("\(begun.samples)")
        try writer.key("figures")
        try writer.string("\(model.training.figures.count)")
      }
    }
    try writer.close("}")
    var offset = 0
    for one in try tensors(of: model) {
      try writer.key(name: one.name)
      try tensor(writer, one, &offset)
    }
    for slot in 0..<savedSlots(model, weightsOnly: weightsOnly) {
      let one = slotTensor(slot, model.training.slots[slot].byteCount / MemoryLayout<Float>.stride)
      try writer.key(name: one.name)
      try tensor(writer, one, &offset)
    }
    let figures = savedFigures(model, weightsOnly: weightsOnly).count / MemoryLayout<Double>.stride
    if figures > 0 {
      let one = figuresTensor(figures)
      try writer.key(name: one.name)
      try tensor(writer, one, &offset)
    }
    try writer.close("}")
    while writer.bytes.count % 8 != 0 { try writer.bytes.append(0x20) }
    return writer.bytes
  }

  /// An array of optimizer state.
  static func slotTensor(_ slot: Int, _ count: Int) -> Tensor {
    Tensor(name: "training.slot_\(slot)", shape: Shape(count), type: .float32, count: count)
  }

  static func figuresTensor(_ count: Int) -> Tensor {
    Tensor(name: "training.figures", shape: Shape(count), type: .float64, count: count)
  }

  private static func tensor(_ writer: Writer, _ tensor: Tensor, _ offset: inout Int) throws(LSTMError) {
    try writer.open("{")
    try writer.key("dtype")
    try writer.string(tensor.type.name.text)
    try writer.key("shape")
    try writer.open("[")
    for axis in 0..<tensor.shape.rank { try writer.number(Double(tensor.shape[axis])) }
    try writer.close("]")
    try writer.key("data_offsets")
    try writer.open("[")
    try writer.number(Double(offset))
    offset = try Size.sum(offset, tensor.byteCount)
    try writer.number(Double(offset))
    try writer.close("]")
    try writer.close("}")
  }

  /// CRC-32 (the polynomial of IEEE 802.3, as in zlib and PNG) of the whole file, the checksum's digits taken as zeros.
  static func checksum(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt32 {
    let digits = 8 + opening.utf8CodeUnitCount
    var table = InlineArray<256, UInt32>(repeating: 0)
    for i in 0..<256 {
      var c = UInt32(i)
      for _ in 0..<8 { c = c & 1 != 0 ? 0xedb8_8320 ^ (c >> 1) : c >> 1 }
      table[i] = c
    }
    var crc = ~UInt32(0)
    for i in 0..<bytes.count {
      let byte = i >= digits && i < digits + checksumDigits ? UInt8(ascii: "0") : bytes[i]
      crc = table[Int((crc ^ UInt32(byte)) & 0xff)] ^ (crc >> 8)
    }
    return ~crc
  }
}
