internal import LSTMKernels
internal import LSTMTensors

/// One tensor of a model's parameters in a file.
struct Tensor {
  enum Element {
    case float32, bfloat16, int8, float64

    var name: StaticString {
      switch self {
      case .float32: "F32"
      case .bfloat16: "BF16"
      case .int8: "I8"
      case .float64: "F64"
      }
    }
    var byteCount: Int {
      switch self {
      case .float32: 4
      case .bfloat16: 2
      case .int8: 1
      case .float64: 8
      }
    }
  }

  let name: String
  let shape: Shape
  let type: Element
  let count: Int
  /// The parameter that it holds, or whose scales; nil: optimizer state.
  var parameter: Parameter?
  var holdsScales = false

  var byteCount: Int { count * type.byteCount }
}

extension Checkpoint {
  /// The tensors of a model's parameters, in the order of the file: those of float32 first, so that all are aligned.
  static func tensors(of model: Model) throws(LSTMError) -> [Tensor] {
    var tensors: [Tensor] = []
    let format = model.weightFormat
    for entry in model.plan.entries {
      let isPlain = format == .float32 || entry.lines == .none
      if isPlain {
        try Memory.append(
          Tensor(name: entry.name, shape: entry.shape, type: .float32, count: entry.count, parameter: entry),
          to: &tensors)
      } else if format == .int8 {
        try Memory.append(
          Tensor(
            name: entry.name + ".scales", shape: Shape(entry.lineCount), type: .float32, count: entry.lineCount,
            parameter: entry, holdsScales: true), to: &tensors)
      }
    }
    for entry in model.plan.entries where format != .float32 && entry.lines != .none {
      try Memory.append(
        Tensor(
          name: entry.name, shape: entry.shape, type: format == .int8 ? .int8 : .bfloat16, count: entry.count,
          parameter: entry), to: &tensors)
    }
    return tensors
  }

  /// Appends the numbers of a tensor.
  static func append(_ tensor: Tensor, of parameters: Buffer, to file: List<UInt8>) throws(LSTMError) {
    guard let entry = tensor.parameter else { return }
    let weights = Floats(parameters.floats)
    if tensor.type == .float32, !tensor.holdsScales {
      return try file.append(floats(parameters, entry.offset, entry.count))
    }
    if tensor.type == .bfloat16 {
      for i in entry.offset..<entry.offset + entry.count {
        let half = weights[i].bitPattern >> 16
        try file.append(UInt8(truncatingIfNeeded: half))
        try file.append(UInt8(truncatingIfNeeded: half >> 8))
      }
      return
    }
    let out = UnsafeMutableRawPointer(try file.extend(by: tensor.byteCount))
    for line in 0..<entry.lineCount {
      let from = weights + entry.linePlace(line)
      let scale = WeightFormat.scale(from, count: entry.lineLength, step: entry.lineStep)
      if tensor.holdsScales {
        out.storeBytes(of: scale.bitPattern.littleEndian, toByteOffset: 4 * line, as: UInt32.self)
      } else {
        for i in 0..<entry.lineLength {
          let place = entry.linePlace(line) - entry.offset + i * entry.lineStep
          let integer = WeightFormat.integer(from[i * entry.lineStep], scale: scale)
          out.storeBytes(of: integer, toByteOffset: place, as: Int8.self)
        }
      }
    }
  }

  /// Reads the numbers of a tensor that `append` has written. Scales are kept in the first numbers of their lines until
  /// the integers come.
  static func read(_ tensor: Tensor, from data: UnsafeRawPointer, into model: Model) throws(LSTMError) {
    guard let entry = tensor.parameter else { return }
    let weights = model.parameters.floats
    switch tensor.type {
    // Not of a parameter.
    case .float64: break
    case .float32:
      if tensor.holdsScales {
        for line in 0..<entry.lineCount {
          weights[entry.linePlace(line)] = data.loadUnaligned(fromByteOffset: 4 * line, as: Float.self)
        }
      } else {
        UnsafeMutableRawPointer(weights + entry.offset).copyMemory(from: data, byteCount: tensor.byteCount)
      }
    case .bfloat16:
      for i in 0..<entry.count {
        let half = data.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self)
        weights[entry.offset + i] = Float(bitPattern: UInt32(half) << 16)
      }
    case .int8:
      for line in 0..<entry.lineCount {
        let to = weights + entry.linePlace(line)
        let scale = to[0]
        var isExact = scale.isFinite
        for i in 0..<entry.lineLength {
          let place = entry.linePlace(line) - entry.offset + i * entry.lineStep
          let integer = data.load(fromByteOffset: place, as: Int8.self)
          to[i * entry.lineStep] = scale * Float(integer)
          isExact = isExact && (scale != 0 || integer == 0)
        }
        // Then the same integers and scales can be had from the numbers again.
        let again = WeightFormat.scale(to, count: entry.lineLength, step: entry.lineStep)
        guard isExact, again.bitPattern == scale.bitPattern else {
          throw .argument(
            "\(quoted(entry.name.utf8)).scales[\(line)]: expected one of 17 bits for integers up to 127, got another")
        }
      }
    }
  }
}
