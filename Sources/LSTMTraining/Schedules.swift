internal import CLSTMShim
public import LSTMDescription
public import LSTMTensors

/// A learning rate that is a function of the batches trained on so far: nothing has to be kept for it.
///
/// - Source: keras/src/optimizers/schedules of Keras 3; `oneCycle` is torch.optim.lr_scheduler.OneCycleLR (Smith & Topin
///   2017), whose momentum stays as it is.
public indirect enum Schedule {
  case constant(Double)
  /// values[i] up to and with boundaries[i].
  case piecewise(boundaries: [Double], values: [Double])
  case exponential(Decay, rate: Double)
  case inverseTime(Decay, rate: Double)
  case polynomial(from: Double, to: Double, steps: Double, power: Double, cycles: Bool)
  case cosine(from: Double, steps: Double, least: Double)
  case restarts(from: Double, steps: Double, timeFactor: Double, rateFactor: Double, least: Double)
  case oneCycle(OneCycle)
  /// In a straight line to where `then` begins, whose steps are counted from there.
  case warmup(from: Double, steps: Double, then: Schedule)

  public struct Decay {
    let from: Double
    let steps: Double
    let isStaircase: Bool

    /// In units of `steps`.
    func time(_ step: Double) -> Double { isStaircase ? (step / steps).rounded(.down) : step / steps }
  }

  public struct OneCycle {
    let most: Double
    let first: Double
    let last: Double
    let steps: Double
    /// The share of the steps that rise.
    let rise: Double
    let isLinear: Bool
    let hasThreePhases: Bool
  }

  /// That of the step which follows `done` ones.
  public func rate(after done: UInt64) -> Double { rate(Double(done)) }

  private func rate(_ step: Double) -> Double {
    switch self {
    case .constant(let rate): return rate
    case .piecewise(let boundaries, let values):
      for i in 0..<boundaries.count where step <= boundaries[i] { return values[i] }
      return values[boundaries.count]
    case .exponential(let decay, let rate): return decay.from * shim_pow(rate, decay.time(step))
    case .inverseTime(let decay, let rate): return decay.from / (1 + rate * decay.time(step))
    case .polynomial(let from, let to, let steps, let power, let cycles):
      let length = cycles ? steps * max(1, (step / steps).rounded(.up)) : steps
      return (from - to) * shim_pow(1 - min(step, length) / length, power) + to
    case .cosine(let from, let steps, let least):
      return from * ((1 - least) * Schedule.half(min(step, steps) / steps) + least)
    case .restarts(let from, let steps, let timeFactor, let rateFactor, let least):
      let (cycle, done) = Schedule.cycle(step / steps, timeFactor)
      return from * ((1 - least) * shim_pow(rateFactor, cycle) * Schedule.half(done) + least)
    case .oneCycle(let cycle): return cycle.rate(step)
    case .warmup(let from, let steps, let then):
      return step < steps ? from + (then.rate(0) - from) * (step / steps) : then.rate(step - steps)
    }
  }

  /// Half a wave of the cosine, from 1 at 0 to 0 at 1.
  fileprivate static func half(_ x: Double) -> Double { 0.5 * (1 + shim_cos(.pi * x)) }

  /// The number of cycles that are over at a time in units of the first one, each `factor` times as long as the one before,
  /// and the share of the next that is.
  private static func cycle(_ time: Double, _ factor: Double) -> (Double, Double) {
    if factor == 1 { return (time.rounded(.down), time - time.rounded(.down)) }
    func begin(_ cycle: Double) -> Double { (shim_pow(factor, cycle) - 1) / (factor - 1) }
    var cycle = (shim_log(1 + time * (factor - 1)) / shim_log(factor)).rounded(.down)
    // The logarithm may be a digit short where a cycle begins.
    if begin(cycle + 1) <= time { cycle += 1 }
    return (cycle, (time - begin(cycle)) / shim_pow(factor, cycle))
  }
}

extension Schedule.OneCycle {
  fileprivate func rate(_ step: Double) -> Double {
    let top = rise * steps - 1
    if step <= top { return between(first, most, step / top) }
    let back = 2 * top
    if hasThreePhases, step <= back { return between(most, first, (step - top) / (back - top)) }
    let (start, from) = hasThreePhases ? (back, first) : (top, most)
    return between(from, last, min(1, (step - start) / (steps - 1 - start)))
  }

  private func between(_ a: Double, _ b: Double, _ share: Double) -> Double {
    isLinear ? a + (b - a) * share : b + (a - b) * Schedule.half(share)
  }
}

// MARK: Reading

extension Fields {
  /// A learning rate: a number, or an object with the 'type' of a schedule. Recorded.
  func learningRate(_ key: StaticString, default standard: Double?) throws(LSTMError) -> Schedule {
    guard peek(key)?.isObject ?? false, let given = value(key) else {
      return .constant(
        try number(key, default: standard, expected: "a number of at least 0 or a schedule", isRate))
    }
    let inner = try Fields(given, path: path + "." + key.text)
    let schedule = try inner.schedule()
    try inner.finish()
    try record(key, inner)
    return schedule
  }

  private func schedule() throws(LSTMError) -> Schedule {
    let types: [StaticString] = [
      "piecewise_constant_decay", "exponential_decay", "inverse_time_decay", "polynomial_decay", "cosine_decay",
      "cosine_decay_restarts", "one_cycle", "warmup",
    ]
    switch try type(of: types) {
    case 0: return try piecewise()
    case 1: return .exponential(try decay(), rate: try positive("decay_rate"))
    case 2: return .inverseTime(try decay(), rate: try rate("decay_rate"))
    case 3:
      return .polynomial(
        from: try rate("initial_learning_rate"), to: try rate("end_learning_rate", default: 0.0001),
        steps: try positive("decay_steps"), power: try positive("power", default: 1),
        cycles: try boolean("cycle", default: false))
    case 4:
      return .cosine(
        from: try rate("initial_learning_rate"), steps: try positive("decay_steps"), least: try share("alpha", 0))
    case 5:
      return .restarts(
        from: try rate("initial_learning_rate"), steps: try positive("first_decay_steps"),
        timeFactor: try number("t_mul", default: 2, expected: "a number of at least 1") { $0 >= 1 && $0 < 1e9 },
        rateFactor: try rate("m_mul", default: 1), least: try share("alpha", 0))
    case 6: return try oneCycle()
    default:
      return .warmup(
        from: try rate("initial_learning_rate", default: 0), steps: try positive("warmup_steps"),
        then: try learningRate("learning_rate", default: nil))
    }
  }

  private func decay() throws(LSTMError) -> Schedule.Decay {
    Schedule.Decay(
      from: try rate("initial_learning_rate"), steps: try positive("decay_steps"),
      isStaircase: try boolean("staircase", default: false))
  }

  private func piecewise() throws(LSTMError) -> Schedule {
    let boundaries = try numbers("boundaries")
    let values = try numbers("values")
    for i in 1..<max(1, boundaries.count) where boundaries[i] <= boundaries[i - 1] {
      throw error("boundaries", "numbers that rise", nil)
    }
    guard values.count == boundaries.count + 1 else {
      throw .argument("\(path).values: expected \(boundaries.count + 1), one more than boundaries, got \(values.count)")
    }
    return .piecewise(boundaries: boundaries, values: values)
  }

  /// A list of numbers of at least 0. Recorded.
  private func numbers(_ key: StaticString) throws(LSTMError) -> [Double] {
    guard let given = value(key), given.isArray else { throw error(key, "a list of numbers of at least 0", nil) }
    var result: [Double] = []
    try record.key(key)
    try record.open("[")
    try given.forEach { (item) throws(LSTMError) in
      guard let number = item.number, isRate(number) else { throw error(key, "numbers of at least 0", item) }
      try record.number(number)
      try Memory.append(number, to: &result)
    }
    try record.close("]")
    return result
  }

  private func oneCycle() throws(LSTMError) -> Schedule {
    let most = try rate("max_learning_rate")
    let steps = try positive("total_steps")
    let rise = try share("pct_start", 0.3)
    let isLinear = try choice("anneal_strategy", ["cos", "linear"], default: 0) == 1
    let first = most / (try positive("div_factor", default: 25))
    let last = first / (try positive("final_div_factor", default: 1e4))
    let hasThreePhases = try boolean("three_phase", default: false)
    // Each phase must end after the one before.
    guard rise * steps > 1, (hasThreePhases ? 2 * rise * steps - 1 : rise * steps) < steps else {
      throw .argument(
        "\(path).pct_start: expected a share that leaves steps to each phase, got \(rise) of \(steps) steps")
    }
    return .oneCycle(
      Schedule.OneCycle(
        most: most, first: first, last: last, steps: steps, rise: rise, isLinear: isLinear,
        hasThreePhases: hasThreePhases))
  }

  private func rate(_ key: StaticString, default standard: Double? = nil) throws(LSTMError) -> Double {
    try number(key, default: standard, expected: "a number of at least 0", isRate)
  }

  private func positive(_ key: StaticString, default standard: Double? = nil) throws(LSTMError) -> Double {
    try number(key, default: standard, expected: "a positive number") { $0 > 0 && Float($0).isFinite && Float($0) > 0 }
  }

  private func share(_ key: StaticString, _ standard: Double) throws(LSTMError) -> Double {
    try number(key, default: standard, expected: "a number from 0 to 1") { $0 >= 0 && $0 <= 1 }
  }
}

/// Ranges are those of the numbers after rounding to float, as which the kernels take them.
private func isRate(_ x: Double) -> Bool { x >= 0 && Float(x).isFinite }
