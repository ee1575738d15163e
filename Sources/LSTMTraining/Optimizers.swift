internal import CLSTMKernels
internal import CLSTMShim
public import LSTMDescription
public import LSTMKernels
public import LSTMTensors

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
}

/// One parameter, its gradient and its share of the optimizer's state, `[count]` each.
public struct ParameterUpdate {
  public let count: Int
  public let weights: MutableFloats
  public let gradient: Floats
  /// The first `slotCount` of them.
  public let slots: InlineArray<3, MutableFloats?>

  public init(count: Int, weights: MutableFloats, gradient: Floats, slots: InlineArray<3, MutableFloats?>) {
    (self.count, self.weights, self.gradient, self.slots) = (count, weights, gradient, slots)
  }
}

/// A rule that turns gradients into smaller losses.
///
/// To add one: a rule, its line in `table`, its options in `make`, and its case in `slotCount` and `update`.
/// - Source: keras/src/optimizers of Keras 3.
public struct Optimizer {
  private enum Rule { case sgd, rmsprop, adam, adamw, adagrad }

  private static var table: [(name: StaticString, rule: Rule)] {
    [("sgd", .sgd), ("rmsprop", .rmsprop), ("adam", .adam), ("adamw", .adamw), ("adagrad", .adagrad)]
  }

  private let rule: Rule
  /// The options that are the same in every update.
  private let constants: lstm_update
  private let weightDecay: Double
  private let firstAccumulator: Float
  /// That of the description.
  public let learningRate: Double
  public let clipping: Clipping
  /// The options as members of a JSON object, without its braces.
  public let record: Writer

  /// - Parameter path: where `value` stands, for messages: "optimizer".
  public static func make(_ value: Value, path: String) throws(LSTMError) -> Optimizer {
    let fields = try Fields(value, path: path)
    let table = table
    let rule = table[try fields.type(of: table.map { $0.name })].rule
    let rate = try fields.nonnegative("learning_rate", default: rule == .sgd ? 0.01 : 0.001)
    var constants = lstm_update()
    var firstAccumulator = 0.0
    switch rule {
    case .sgd:
      constants.momentum = try fields.momentum()
      constants.nesterov = try fields.flag("nesterov")
    case .rmsprop:
      constants.rho = try fields.fraction("rho", default: 0.9)
      constants.momentum = try fields.momentum()
      constants.epsilon = try fields.epsilon()
      constants.centered = try fields.flag("centered")
    case .adam, .adamw:
      constants.beta_1 = try fields.fraction("beta_1", default: 0.9)
      constants.beta_2 = try fields.fraction("beta_2", default: 0.999)
      constants.epsilon = try fields.epsilon()
      constants.amsgrad = try fields.flag("amsgrad")
    case .adagrad:
      firstAccumulator = try fields.nonnegative("initial_accumulator_value", default: 0.1)
      constants.epsilon = try fields.epsilon()
    }
    let clipping = try fields.clipping()
    let weightDecay =
      rule == .adamw
      ? try fields.nonnegative("weight_decay", default: 0.004)
      : try fields.optionalNumber("weight_decay", expected: "a number of at least 0 or null", isNonnegative) ?? 0
    try fields.finish()
    return Optimizer(
      rule: rule, constants: constants, weightDecay: weightDecay, firstAccumulator: Float(firstAccumulator),
      learningRate: rate, clipping: clipping, record: fields.record)
  }

  /// How many numbers of state each weight has, 0 to 3:
  ///
  ///     sgd      [momentum]                            with momentum
  ///     rmsprop  velocity, [momentum], [mean gradient] with momentum, centered
  ///     adam(w)  momentum, velocity, [largest]         with amsgrad
  ///     adagrad  accumulator
  public var slotCount: Int {
    let momentum = constants.momentum != 0 ? 1 : 0
    switch rule {
    case .sgd: return momentum
    case .rmsprop: return 1 + momentum + Int(constants.centered)
    case .adam, .adamw: return 2 + Int(constants.amsgrad)
    case .adagrad: return 1
    }
  }

  /// What all of a slot is before the first update.
  public func initialSlotValue(_ slot: Int) -> Float { firstAccumulator }

  /// One step of one parameter. Allocates nothing; parameters may be updated in any order and on any thread.
  ///
  /// - Parameters:
  ///   - step: the number of this update, from 1.
  ///   - rate: the learning rate now.
  public func update(_ parameter: ParameterUpdate, step: UInt64, rate: Double, _ kernels: Kernels) {
    var u = constants
    (u.count, u.w, u.g) = (parameter.count, parameter.weights, parameter.gradient)
    u.rate = Float(rate)
    u.decay = Float(rate * weightDecay)
    let slots = parameter.slots
    switch rule {
    case .sgd:
      u.m = slots[0]
      kernels.sgd(&u)
    case .rmsprop:
      u.v = slots[0]
      u.m = slots[1]
      u.extra = slots[u.momentum != 0 ? 2 : 1]
      kernels.rmsprop(&u)
    case .adam, .adamw:
      (u.m, u.v, u.extra) = (slots[0], slots[1], slots[2])
      // What the moments lack because they began at 0. The betas are those that the kernel uses.
      let first = 1 - shim_pow(Double(u.beta_1), Double(step))
      let second = 1 - shim_pow(Double(u.beta_2), Double(step))
      u.rate = Float(rate * second.squareRoot() / first)
      kernels.adam(&u)
    case .adagrad:
      u.v = slots[0]
      kernels.adagrad(&u)
    }
  }

  /// Clips a parameter's gradient, or a slice of it, in place.
  ///
  /// - Parameters:
  ///   - total: Σ of the squares of all gradients, a finite number.
  ///   - parameter: the same for the parameter.
  public func clip(_ gradient: Gradient, total: Double, parameter: () -> Double, _ kernels: Kernels) {
    switch clipping {
    case .none: break
    case .value(let limit): kernels.clamp(gradient.count, limit: limit, gradient.values)
    case .norm(let limit): gradient.shrink(norm: parameter().squareRoot(), to: limit, kernels)
    case .globalNorm(let limit): gradient.shrink(norm: total.squareRoot(), to: limit, kernels)
    }
  }
}

extension Gradient {
  /// Multiplies by limit / norm, unless the norm is within the limit.
  fileprivate func shrink(norm: Double, to limit: Float, _ kernels: Kernels) {
    if norm > Double(limit) { kernels.scale(count, by: Float(Double(limit) / norm), values) }
  }
}

// Ranges are those of the numbers after rounding to float, as which the kernels take them.
private func isNonnegative(_ x: Double) -> Bool { x >= 0 && Float(x).isFinite }
private func isPositive(_ x: Double) -> Bool { Float(x) > 0 && Float(x).isFinite }

extension Fields {
  fileprivate func nonnegative(_ key: StaticString, default standard: Double) throws(LSTMError) -> Double {
    try number(key, default: standard, expected: "a number of at least 0", isNonnegative)
  }

  /// In [0, 1).
  fileprivate func fraction(_ key: StaticString, default standard: Double) throws(LSTMError) -> Float {
    Float(try number(key, default: standard, expected: "a number from 0 to below 1") { $0 >= 0 && Float($0) < 1 })
  }

  fileprivate func momentum() throws(LSTMError) -> Float {
    Float(try number("momentum", default: 0, expected: "a number from 0 to 1") { $0 >= 0 && $0 <= 1 })
  }

  fileprivate func epsilon() throws(LSTMError) -> Float {
    Float(try number("epsilon", default: 1e-7, expected: "a positive number", isPositive))
  }

  fileprivate func flag(_ key: StaticString) throws(LSTMError) -> UInt32 {
    try boolean(key, default: false) ? 1 : 0
  }

  /// As `number`, but null (and absence) is a value of its own.
  fileprivate func optionalNumber(
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

  /// At most one of three.
  fileprivate func clipping() throws(LSTMError) -> Clipping {
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
    try optionalNumber(key, expected: "a positive number or null", isPositive).map { Float($0) }
  }
}
