internal import LSTMDescription
internal import LSTMTensors

/// A window that moves along the timesteps: `size` of them, `dilation` apart, and on by `stride` for each output.
///
/// `same` and `causal` begin before the first step and give ⌈steps / stride⌉ outputs; with `causal` none reads a later step.
/// - Source: Keras's `Conv1D` and `MaxPooling1D`.
struct Window {
  enum Padding: Int { case valid, same, causal }
  private static var names: [StaticString] { ["valid", "same", "causal"] }

  let size: Int
  let stride: Int
  let dilation: Int
  let padding: Padding
  /// Steps from its first to its last, both included.
  let span: Int

  private init(size: Int, stride: Int, dilation: Int, padding: Padding, span: Int) {
    (self.size, self.stride, self.dilation, self.padding, self.span) = (size, stride, dilation, padding, span)
  }

  /// No window is longer, so that sums of steps stay far from overflow.
  private static let limit = 1 << 24

  /// Of a convolution.
  static func ofConvolution(_ fields: Fields) throws(LSTMError) -> Window {
    let size = try fields.integer("kernel_size", 1...limit)
    let stride = try fields.integer("strides", 1...limit, default: 1)
    let padding = try fields.choice("padding", names, default: 0)
    let dilation = try fields.integer("dilation_rate", 1...limit, default: 1)
    if stride > 1, dilation > 1 {
      throw .argument("\(fields.path).strides: expected 1 where dilation_rate is not, got \(stride)")
    }
    let span = (size - 1) * dilation + 1
    guard span <= limit else {
      throw .argument(
        "\(fields.path).dilation_rate: expected a kernel over at most \(limit) timesteps, got \(dilation) times "
          + "\(size - 1)")
    }
    return Window(
      size: size, stride: stride, dilation: dilation, padding: Padding(rawValue: padding) ?? .valid, span: span)
  }

  /// Of a pooling; its stride is its size unless given.
  static func ofPooling(_ fields: Fields) throws(LSTMError) -> Window {
    let size = try fields.integer("pool_size", 1...limit, default: 2)
    let stride = try fields.integer("strides", 1...limit, default: size)
    let padding = try fields.choice("padding", [names[0], names[1]], default: 0)
    return Window(
      size: size, stride: stride, dilation: 1, padding: Padding(rawValue: padding) ?? .valid, span: size)
  }

  /// Outputs for so many steps.
  func outputs(_ steps: Int) -> Int {
    padding == .valid ? (steps < span ? 0 : (steps - span) / stride + 1) : (steps + stride - 1) / stride
  }

  /// How far before the first of so many steps the first window begins.
  func before(_ steps: Int) -> Int {
    switch padding {
    case .valid: 0
    case .causal: span - 1
    case .same: max(0, (outputs(steps) - 1) * stride + span - steps) / 2
    }
  }

  /// Whether output t belongs to step t.
  var keepsTime: Bool { stride == 1 && (padding != .valid || span == 1) }

  /// Of an input.
  var acceptedSteps: ClosedRange<Int> { (padding == .valid ? span : 1)...Int.max }

  /// What says that outputs cannot be had step by step.
  var needsFuture: StaticString? { padding != .causal && span > 1 ? "padding" : stride > 1 ? "strides" : nil }

  /// The shape of an output of `features`, for samples of a shape that is `[timesteps, *]`.
  func outputShape(_ shape: Shape, features: Int) -> Shape {
    Shape(shape[0] == Shape.any ? Shape.any : outputs(shape[0]), features)
  }

  /// Reads the shape of samples, of which the window must fit in.
  func inputShape(_ model: Construction) throws(LSTMError) -> Shape {
    let shape = try model.sequence()
    if shape[0] != Shape.any, !acceptedSteps.contains(shape[0]) {
      throw .argument(
        "\(model.fields.path): expected an input of at least \(acceptedSteps.lowerBound) timesteps, got \(shape.text)")
    }
    return shape
  }
}

extension Construction {
  /// The sample shape `[timesteps, features]` of the numbers that reach the layer.
  func sequence() throws(LSTMError) -> Shape {
    let shape = try values(rank: 2)
    guard shape.rank == 2 else {
      throw .argument("\(fields.path): expected an input of shape [timesteps, features], got \(shape.text)")
    }
    return shape
  }
}
