internal import CLSTMKernels
public import LSTMDescription
public import LSTMTensors

extension Optimizer {
  /// - Parameter path: where `value` stands, for messages: "optimizer".
  public static func make(_ value: Value, path: String) throws(LSTMError) -> Optimizer {
    let fields = try Fields(value, path: path)
    let table = table
    let rule = table[try fields.type(of: table.map { $0.name })].rule
    var optimizer = Optimizer(rule, record: fields.record)
    optimizer.schedule = try fields.learningRate("learning_rate", default: rule == .sgd ? 0.01 : 0.001)
    try optimizer.readRule(fields)
    optimizer.clipping = try fields.clipping()
    optimizer.weightDecay =
      rule == .adamw
      ? try fields.nonnegative("weight_decay", default: 0.004)
      : try fields.optionalNumber("weight_decay", expected: "a number of at least 0 or null", isNonnegative) ?? 0
    optimizer.averaging = try fields.averaging()
    optimizer.accumulation = try fields.optionalInteger("gradient_accumulation_steps", 2...Int(Int32.max)) ?? 1
    try fields.finish()
    return optimizer
  }

  private mutating func readRule(_ fields: Fields) throws(LSTMError) {
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
      try readBetas(fields, 0.999)
      constants.epsilon = try fields.epsilon()
      constants.amsgrad = try fields.flag("amsgrad")
    case .adamax, .nadam:
      try readBetas(fields, 0.999)
      constants.epsilon = try fields.epsilon()
    case .lion: try readBetas(fields, 0.99)
    case .adagrad:
      firstAccumulator = Float(try fields.nonnegative("initial_accumulator_value", default: 0.1))
      constants.epsilon = try fields.epsilon()
    case .adadelta:
      constants.rho = try fields.fraction("rho", default: 0.95)
      constants.epsilon = try fields.epsilon()
    case .ftrl:
      firstAccumulator = Float(try fields.nonnegative("initial_accumulator_value", default: 0.1))
      constants.l1 = Float(try fields.nonnegative("l1_regularization_strength", default: 0))
      constants.l2 = Float(try fields.nonnegative("l2_regularization_strength", default: 0))
      constants.shrinkage = Float(try fields.nonnegative("l2_shrinkage_regularization_strength", default: 0))
      beta = try fields.nonnegative("beta", default: 0)
    case .adafactor:
      adafactor.decay = try fields.number("beta_2_decay", default: -0.8, expected: "a number from -1 to below 0") {
        $0 >= -1 && $0 < 0
      }
      adafactor.epsilon1 = try fields.positive("epsilon_1", default: 1e-30)
      adafactor.epsilon2 = try fields.nonnegative("epsilon_2", default: 1e-3)
      adafactor.threshold = try fields.positive("clip_threshold", default: 1)
    }
  }

  private mutating func readBetas(_ fields: Fields, _ second: Double) throws(LSTMError) {
    constants.beta_1 = try fields.fraction("beta_1", default: 0.9)
    constants.beta_2 = try fields.fraction("beta_2", default: second)
  }
}

// Ranges are those of the numbers after rounding to float, as which the kernels take them.
private func isNonnegative(_ x: Double) -> Bool { x >= 0 && Float(x).isFinite }

extension Fields {
  fileprivate func nonnegative(_ key: StaticString, default standard: Double) throws(LSTMError) -> Double {
    try number(key, default: standard, expected: "a number of at least 0", isNonnegative)
  }

  fileprivate func positive(_ key: StaticString, default standard: Double) throws(LSTMError) -> Double {
    try number(key, default: standard, expected: "a positive number") { Float($0) > 0 && Float($0).isFinite }
  }

  /// In [0, 1).
  fileprivate func fraction(_ key: StaticString, default standard: Double) throws(LSTMError) -> Float {
    Float(try number(key, default: standard, expected: "a number from 0 to below 1") { $0 >= 0 && Float($0) < 1 })
  }

  fileprivate func momentum() throws(LSTMError) -> Float {
    Float(try number("momentum", default: 0, expected: "a number from 0 to 1") { $0 >= 0 && $0 <= 1 })
  }

  fileprivate func epsilon() throws(LSTMError) -> Float { Float(try positive("epsilon", default: 1e-7)) }

  fileprivate func flag(_ key: StaticString) throws(LSTMError) -> UInt32 {
    try boolean(key, default: false) ? 1 : 0
  }
}
