internal import CLSTMKernels
internal import LSTMDescription
public import LSTMKernels
internal import LSTMTensors

/// A function applied to every number, or to every vector of the last axis (softmax).
public enum Activation: Sendable {
  case elementwise(UInt32)
  case softmax

  /// In the order of the kernels' kinds, softmax last.
  static var names: [StaticString] {
    ["linear", "sigmoid", "tanh", "relu", "hard_sigmoid", "elu", "gelu", "silu", "softplus", "softmax"]
  }

  public static var linear: Activation { .elementwise(UInt32(LSTM_LINEAR)) }
  public static var sigmoid: Activation { .elementwise(UInt32(LSTM_SIGMOID)) }
  public static var tanh: Activation { .elementwise(UInt32(LSTM_TANH)) }
  static var relu: Activation { .elementwise(UInt32(LSTM_RELU)) }

  public static func == (a: Activation, b: Activation) -> Bool { a.index == b.index }

  public var name: StaticString { Activation.names[index] }

  var index: Int {
    switch self {
    case .elementwise(let kind): Int(kind)
    case .softmax: Activation.names.count - 1
    }
  }

  private init(index: Int) { self = index == Activation.names.count - 1 ? .softmax : .elementwise(UInt32(index)) }

  /// The kernel's kind of a function of single numbers; in a model of fast activations another for some.
  static func kind(_ kind: UInt32, fast: Bool) -> UInt32 {
    if !fast { return kind }
    switch kind {
    case UInt32(LSTM_SIGMOID): return UInt32(LSTM_FAST_SIGMOID)
    case UInt32(LSTM_TANH): return UInt32(LSTM_FAST_TANH)
    default: return kind
    }
  }

  /// Reads the field `key`.
  static func read(_ fields: Fields, _ key: StaticString, default standard: Activation?) throws(LSTMError) -> Activation
  {
    Activation(index: try fields.choice(key, names, default: standard?.index))
  }

  /// Reads the field `key` where only a function of single numbers will do.
  static func readElementwise(
    _ fields: Fields, _ key: StaticString, default standard: Activation
  ) throws(LSTMError) -> UInt32 {
    switch try read(fields, key, default: standard) {
    case .elementwise(let kind): return kind
    case .softmax: throw .argument("\(fields.path).\(key): expected a function of single numbers, got \"softmax\"")
    }
  }
}

/// y = f(x). Shapes: any; softmax over the last axis.
public final class ActivationLayer: Layer {
  public let activation: Activation
  private let isFast: Bool
  private var features: Int { outputShape.last }

  init(_ activation: Activation, name: String, shape: Shape, isFast: Bool) {
    (self.activation, self.isFast) = (activation, isFast)
    super.init(name: name, outputShape: shape)
  }

  static func make(_ model: inout Construction) throws(LSTMError) {
    let activation = try Activation.read(model.fields, "activation", default: nil)
    try model.append(
      ActivationLayer(activation, name: model.name, shape: try model.values(), isFast: model.usesFastActivations))
  }

  public override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    let own = pass.part.range(of: x.count / features)
    let first = own.lowerBound * features
    switch activation {
    case .elementwise(let kind):
      pass.kernels.activate(
        Activation.kind(kind, fast: isFast), own.count * features, x.values + first, y.values + first)
    case .softmax: pass.kernels.softmax(rows: own.count, width: features, x.values + first, y.values + first)
    }
  }

  public override var allowsGradientInPlace: Bool { true }

  public override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    guard let dx else { return }
    let own = pass.part.range(of: x.count / features)
    let first = own.lowerBound * features
    switch activation {
    case .elementwise(let kind):
      pass.kernels.activateBackward(
        Activation.kind(kind, fast: isFast), own.count * features, x: x.values + first, y: y.values + first,
        dy: dy + first, dx: dx + first)
    case .softmax:
      pass.kernels.softmaxBackward(
        rows: own.count, width: features, y: y.values + first, dy: dy + first, dx: dx + first)
    }
  }
}
