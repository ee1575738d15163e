internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// The same numbers in another shape, row by row: `reshape` and `flatten`. What is padding in the input counts as zeros.
///
/// - Source: Keras's `Reshape` and `Flatten`.
final class ReshapeLayer: Layer {
  private let type: StaticString
  private let steps: Int
  private let isTimeKept: Bool

  private init(_ type: StaticString, name: String, input: Shape, output: Shape) {
    self.type = type
    steps = output.rank > 1 ? output[0] : 1
    isTimeKept = (input.rank > 1) == (output.rank > 1) && (input.rank == 1 || input[0] == output[0])
    super.init(name: name, outputShape: output)
  }

  static func makeFlatten(_ model: inout Construction) throws(LSTMError) {
    let shape = try model.values()
    try model.append(ReshapeLayer("flatten", name: model.name, input: shape, output: Shape(try count(shape, model))))
  }

  static func makeReshape(_ model: inout Construction) throws(LSTMError) {
    let shape = try model.values()
    var target = try readTarget(model.fields)
    let expected: Message = "as many numbers as in \(shape.text)"
    // Where the number of timesteps is open, it stays: the others must be as many as before.
    let isOpen = shape[0] == Shape.any && shape.rank > 1 && target.rank > 1 && target[0] == Shape.any
    var (before, after, unknown) = (isOpen ? 1 : try count(shape, model), 1, -1)
    if isOpen { for axis in 1..<shape.rank { before = Carver.product(before, shape[axis]) } }
    for axis in (isOpen ? 1 : 0)..<target.rank {
      if target[axis] == Shape.any { unknown = axis } else { after = Carver.product(after, target[axis]) }
    }
    if unknown >= 0, before % after == 0 {
      target[unknown] = before / after
    } else if before != after {
      throw .argument("\(model.fields.path).target_shape: expected \(expected), got \(target.text)")
    }
    try model.append(ReshapeLayer("reshape", name: model.name, input: shape, output: target))
  }

  /// Numbers of a sample, all of whose extents must be known.
  private static func count(_ shape: Shape, _ model: Construction) throws(LSTMError) -> Int {
    if shape[0] == Shape.any {
      throw .argument(
        "\(model.fields.path): expected an input of a known number of timesteps, got \(shape.text): give it in "
          + "input_shape")
    }
    return try shape.count()
  }

  private static func readTarget(_ fields: Fields) throws(LSTMError) -> Shape {
    let expected: Message = "a list of 1 to 7 positive integers, one of them possibly -1"
    guard let list = fields.value("target_shape"), list.isArray, list.count >= 1, list.count < Shape.maxRank else {
      throw fields.error("target_shape", expected, fields.peek("target_shape"))
    }
    var (shape, unknown) = (Shape(), 0)
    try fields.record.key("target_shape")
    try fields.record.open("[")
    try list.forEach { (item) throws(LSTMError) in
      guard let number = item.number, number == -1 || number >= 1, number <= Double(Fields.unlimited),
        number == number.rounded()
      else { throw fields.error("target_shape", expected, item) }
      unknown += number == -1 ? 1 : 0
      shape.append(number == -1 ? Shape.any : Int(number))
      try fields.record.number(number)
    }
    try fields.record.close("]")
    if unknown > 1 { throw fields.error("target_shape", expected, list) }
    return shape
  }

  override func outputSteps(_ steps: Int) -> Int { isTimeKept ? steps : self.steps }
  override var keepsTime: Bool { isTimeKept }
  override var allowsTrimming: Bool { isTimeKept }
  override var needsFuture: StaticString? { isTimeKept ? nil : type }
  override var changesMask: Bool { !isTimeKept }
  override func outputMask(of x: Signal, _ memory: UnsafeMutablePointer<UInt8>) -> UnsafePointer<UInt8>? {
    isTimeKept ? x.mask : nil
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    if isTimeKept {
      let own = pass.part.range(of: x.count)
      return (y.values + own.lowerBound).copy(from: x.values + own.lowerBound, count: own.count)
    }
    forEachCopy(x, y, pass.part) { (row, from, to, count) in
      if x.mask.map({ $0[row] == 0 }) ?? false {
        (y.values + to).clear(count)
      } else {
        (y.values + to).copy(from: x.values + from, count: count)
      }
    }
  }

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    guard let dx else { return }
    if isTimeKept {
      let own = pass.part.range(of: x.count)
      return (dx + own.lowerBound).copy(from: dy + own.lowerBound, count: own.count)
    }
    forEachCopy(x, y, pass.part) { (row, from, to, count) in
      if x.mask.map({ $0[row] == 0 }) ?? false {
        (dx + from).clear(count)
      } else {
        (dx + from).copy(from: dy + to, count: count)
      }
    }
  }

  /// Calls `body` with a row of the input, a place in it, that in the output, and the numbers that stay together: so many
  /// as go into the steps of both.
  private func forEachCopy(_ x: Signal, _ y: Signal, _ part: Part, _ body: (Int, Int, Int, Int) -> Void) {
    var (together, rest) = (x.width, y.width)
    while rest > 0 { (together, rest) = (rest, together % rest) }
    for row in part.range(of: x.batch) {
      for first in stride(from: 0, to: x.steps * x.width, by: together) {
        let from = first / x.width * x.batch + row
        let to = (first / y.width * x.batch + row) * y.width + first % y.width
        body(from, from * x.width + first % x.width, to, together)
      }
    }
  }
}

/// The same row at each of `n` timesteps. Shapes: x [batch, features], y [batch, n, features].
///
/// - Source: Keras's `RepeatVector`.
final class RepeatLayer: Layer {
  private let n: Int

  private init(_ n: Int, name: String, features: Int) {
    self.n = n
    super.init(name: name, outputShape: Shape(n, features))
  }

  static func make(_ model: inout Construction) throws(LSTMError) {
    let n = try model.fields.integer("n", 1...Int(Int32.max))
    let shape = try model.values()
    guard shape.rank == 1 else {
      throw .argument("\(model.fields.path): expected an input of shape [features], got \(shape.text)")
    }
    try model.append(RepeatLayer(n, name: model.name, features: shape.last))
  }

  override func outputSteps(_ steps: Int) -> Int { n }
  override var keepsTime: Bool { false }
  override var needsFuture: StaticString? { "repeat_vector" }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    let own = pass.part.range(of: x.count)
    for step in 0..<n {
      (y.values + step * x.count + own.lowerBound).copy(from: x.values + own.lowerBound, count: own.count)
    }
  }

  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    guard let dx else { return }
    let own = pass.part.range(of: x.count)
    (dx + own.lowerBound).clear(own.count)
    for step in 0..<n {
      pass.kernels.add(own.count, dy + step * x.count + own.lowerBound, to: dx + own.lowerBound)
    }
  }
}
