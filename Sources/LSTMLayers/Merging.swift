internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// y = x₀ ∘ x₁ ∘ …, element by element. Shapes: all inputs and y the same.
///
/// Of several inputs that are the largest (or the smallest) the first has the gradient.
final class MergeLayer: Layer {
  enum Operation { case add, subtract, multiply, average, maximum, minimum }

  private let operation: Operation
  private let inputs: Int

  init(_ operation: Operation, name: String, shape: Shape, inputs: Int) {
    (self.operation, self.inputs) = (operation, inputs)
    super.init(name: name, outputShape: shape)
  }

  static func make(_ model: inout Construction, _ operation: Operation) throws(LSTMError) {
    let shape = try model.values()
    for (i, input) in model.inputs.enumerated() {
      let other = try model.values(of: input)
      guard other == shape else {
        throw .argument(
          "\(model.fields.path).inputs[\(i)]: expected the shape of the first input, \(shape.text), got \(other.text)")
      }
    }
    try model.append(MergeLayer(operation, name: model.name, shape: shape, inputs: model.inputs.count))
  }

  override var changesMask: Bool { true }
  override func outputMask(of xs: Inputs, _ memory: UnsafeMutablePointer<UInt8>) -> UnsafePointer<UInt8>? {
    commonMask(of: xs, memory)
  }

  override func forward(_ xs: Inputs, into y: Signal, _ pass: Pass) {
    let (kernels, own) = (pass.kernels, pass.part.range(of: y.count))
    let (count, to) = (own.count, y.values + own.lowerBound)
    to.copy(from: xs[0].values + own.lowerBound, count: count)
    for i in 1..<xs.count {
      let x = xs[i].values + own.lowerBound
      switch operation {
      case .add, .average: kernels.add(count, x, to: to)
      case .subtract: kernels.add(count, -1, times: x, to: to)
      case .multiply: kernels.multiply(count, to, x, to)
      case .maximum: for k in 0..<count where x[k] > to[k] || x[k].isNaN { to[k] = x[k] }
      case .minimum: for k in 0..<count where x[k] < to[k] || x[k].isNaN { to[k] = x[k] }
      }
    }
    if operation == .average { kernels.scale(count, by: 1 / Float(xs.count), to) }
  }

  override func backward(
    _ xs: Inputs, _ y: Signal, dy: MutableFloats, into dxs: InputGradients, gradients: MutableFloats, _ pass: Pass
  ) {
    let (kernels, own) = (pass.kernels, pass.part.range(of: y.count))
    let (count, first) = (own.count, own.lowerBound)
    let dy = dy + first
    for i in 0..<xs.count {
      guard let dx = dxs[i].map({ $0 + first }) else { continue }
      switch operation {
      case .maximum, .minimum:
        for k in 0..<count { dx[k] = isFirst(i, of: xs, with: y.values[first + k], at: first + k) ? dy[k] : 0 }
      case .multiply:
        dx.copy(from: dy, count: count)
        for j in 0..<xs.count where j != i { kernels.multiply(count, dx, xs[j].values + first, dx) }
      case .add, .subtract, .average:
        dx.copy(from: dy, count: count)
        if operation == .average { kernels.scale(count, by: 1 / Float(xs.count), dx) }
        if operation == .subtract, i > 0 { kernels.scale(count, by: -1, dx) }
      }
    }
  }

  private func isFirst(_ i: Int, of xs: Inputs, with value: Float, at place: Int) -> Bool {
    for j in 0..<i where xs[j].values[place] == value { return false }
    return xs[i].values[place] == value
  }
}

/// The inputs one behind the other on the last axis. Shapes: x₀ [..., a], x₁ [..., b], ...; y [..., a + b + ...].
final class ConcatenateLayer: Layer {
  private let extents: List<Int>

  private init(name: String, shape: Shape, extents: List<Int>) {
    self.extents = extents
    super.init(name: name, outputShape: shape)
  }

  static func make(_ model: inout Construction) throws(LSTMError) {
    let shape = try model.values()
    let extents = List<Int>(model.allocator)
    var total = 0
    for (i, input) in model.inputs.enumerated() {
      let other = try model.values(of: input)
      guard other == shape.replacingLast(other.last) else {
        throw .argument(
          "\(model.fields.path).inputs[\(i)]: expected the shape of the first input, \(shape.text), but for the last axis"
            + ", got \(other.text)")
      }
      try extents.append(other.last)
      total = try Size.sum(total, other.last)
    }
    try model.append(ConcatenateLayer(name: model.name, shape: shape.replacingLast(total), extents: extents))
  }

  override var changesMask: Bool { true }
  override func outputMask(of xs: Inputs, _ memory: UnsafeMutablePointer<UInt8>) -> UnsafePointer<UInt8>? {
    commonMask(of: xs, memory)
  }

  override func forward(_ xs: Inputs, into y: Signal, _ pass: Pass) {
    forEachPiece(xs.count, of: y, pass.part) { (i, place, x, count) in
      (y.values + place).copy(from: xs[i].values + x, count: count)
    }
  }

  override func backward(
    _ xs: Inputs, _ y: Signal, dy: MutableFloats, into dxs: InputGradients, gradients: MutableFloats, _ pass: Pass
  ) {
    forEachPiece(xs.count, of: y, pass.part) { (i, place, x, count) in
      dxs[i].map { $0 + x }?.copy(from: dy + place, count: count)
    }
  }

  /// Calls `body` with an input, a place in the output, that in the input, and the numbers that belong together there.
  @inline(__always)
  private func forEachPiece(_ inputs: Int, of y: Signal, _ part: Part, _ body: (Int, Int, Int, Int) -> Void) {
    let width = outputShape.last
    var before = 0
    for i in 0..<inputs {
      let extent = extents[i]
      for line in part.range(of: y.count / width) { body(i, line * width + before, line * extent, extent) }
      before += extent
    }
  }
}

extension Layer {
  /// A step is valid where it is for all inputs.
  fileprivate func commonMask(of xs: Inputs, _ memory: UnsafeMutablePointer<UInt8>) -> UnsafePointer<UInt8>? {
    var mask = xs[0].mask
    for i in 1..<xs.count {
      guard let other = xs[i].mask, other != mask else { continue }
      guard let first = mask else {
        mask = other
        continue
      }
      for k in 0..<xs[0].rows { memory[k] = first[k] & other[k] }
      mask = UnsafePointer(memory)
    }
    return mask
  }
}
