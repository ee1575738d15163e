internal import CLSTMShim
internal import LSTMDescription
public import LSTMKernels
internal import LSTMTensors

/// How gradients are kept small before they are used.
public enum Clipping {
  case none
  /// Each number to [-limit, limit].
  case value(Float)
  /// The Euclidean norm of each parameter's gradient to the limit.
  case norm(Float)
  /// The norm of all gradients together to the limit.
  case globalNorm(Float)
}

/// The gradient of one parameter.
public struct Gradient {
  public let values: MutableFloats
  public let count: Int

  public init(values: MutableFloats, count: Int) { (self.values, self.count) = (values, count) }

  /// Multiplies by limit / norm, unless the norm is within the limit.
  private func shrink(norm: Double, to limit: Float, _ kernels: Kernels) {
    if norm > Double(limit) { kernels.scale(count, by: Float(Double(limit) / norm), values) }
  }

  /// Clips a parameter's gradient, or a slice of it, in place.
  ///
  /// - Parameters:
  ///   - total: Σ of the squares of all gradients, a finite number.
  ///   - parameter: the same for the parameter.
  func clip(_ clipping: Clipping, total: Double, parameter: Double, _ kernels: Kernels) {
    switch clipping {
    case .none: break
    case .value(let limit): kernels.clamp(count, limit: limit, values)
    case .norm(let limit): shrink(norm: parameter.squareRoot(), to: limit, kernels)
    case .globalNorm(let limit): shrink(norm: total.squareRoot(), to: limit, kernels)
    }
  }
}

extension Fields {
  /// At most one of three.
  func clipping() throws(LSTMError) -> Clipping {
    let value = try clippingLimit("clipvalue")
    let norm = try clippingLimit("clipnorm")
    let globalNorm = try clippingLimit("global_clipnorm")
    switch (value, norm, globalNorm) {
    case (nil, nil, nil): return .none
    case (let limit?, nil, nil): return .value(limit)
    case (nil, let limit?, nil): return .norm(limit)
    case (nil, nil, let limit?): return .globalNorm(limit)
    default: throw .argument("\(path): expected at most one of clipvalue, clipnorm and global_clipnorm, got several")
    }
  }

  private func clippingLimit(_ key: StaticString) throws(LSTMError) -> Float? {
    try optionalNumber(key, expected: "a positive number or null") { Float($0) > 0 && Float($0).isFinite }
      .map { Float($0) }
  }

  /// As `number`, but null (and absence) is a value of its own.
  func optionalNumber(
    _ key: StaticString, expected: StaticString, _ accepts: (Double) -> Bool
  ) throws(LSTMError) -> Double? {
    let given = value(key)
    try record.key(key)
    guard let given else {
      try record.null()
      return nil
    }
    guard let number = given.number, accepts(number) else { throw error(key, "\(expected)", given) }
    try record.number(number)
    return number
  }
}
