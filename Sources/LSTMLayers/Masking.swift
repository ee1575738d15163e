internal import LSTMDescription
public import LSTMKernels
internal import LSTMTensors

/// Steps of the model's input of which every number is `value` are padding. Shapes: x, y [batch, timesteps, ...].
///
/// Whoever feeds the model leaves them out, as it does what lengths and masks say; here they have passed already.
/// - Source: Keras's `Masking`.
public final class MaskingLayer: Layer {
  public let value: Float

  private init(_ value: Float, name: String, shape: Shape) {
    self.value = value
    super.init(name: name, outputShape: shape)
  }

  static func make(_ model: inout Construction) throws(LSTMError) {
    let value = try model.fields.number("mask_value", default: 0, .any)
    let shape = try model.values(rank: 2)
    guard case .input = model.flow else {
      throw .argument(
        "\(model.fields.path): expected a masking layer to read the model's input, got another layer's output")
    }
    try model.append(MaskingLayer(Float(value), name: model.name, shape: shape))
  }

  public override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    let own = pass.part.range(of: x.count)
    (y.values + own.lowerBound).copy(from: x.values + own.lowerBound, count: own.count)
  }

  public override var allowsGradientInPlace: Bool { true }

  public override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    guard let dx else { return }
    let own = pass.part.range(of: x.count)
    (dx + own.lowerBound).copy(from: dy + own.lowerBound, count: own.count)
  }
}
