internal import CLSTMKernels
internal import CLSTMShim
public import LSTMDescription
public import LSTMKernels
public import LSTMTensors

/// One parameter or a slice of one, its gradient and its share of the optimizer's state, `[count]` each.
struct ParameterUpdate {
  let count: Int
  let weights: MutableFloats
  let gradient: Floats
  /// The first `ruleSlots` of them.
  let slots: InlineArray<3, MutableFloats?>
}

/// A rule that turns gradients into smaller losses.
///
/// To add one: a rule, its line in `table`, its options in `OptimizerFields`, and its case in `ruleSlots` and `update`.
/// - Source: keras/src/optimizers of Keras 3.
public struct Optimizer {
  enum Rule { case sgd, rmsprop, adam, adamw, adagrad, adamax, nadam, adadelta, ftrl, lion, adafactor }

  static var table: [(name: StaticString, rule: Rule)] {
    [
      ("sgd", .sgd), ("rmsprop", .rmsprop), ("adam", .adam), ("adamw", .adamw), ("adagrad", .adagrad),
      ("adamax", .adamax), ("nadam", .nadam), ("adadelta", .adadelta), ("ftrl", .ftrl), ("lion", .lion),
      ("adafactor", .adafactor),
    ]
  }

  let rule: Rule
  /// The options that are the same in every update.
  var constants = lstm_update()
  var weightDecay = 0.0
  var firstAccumulator: Float = 0
  /// Of ftrl: what is added to l2 for a learning rate of 1.
  var beta = 0.0
  var adafactor = Adafactor()
  var schedule = Schedule.constant(0)
  var clipping = Clipping.none
  var averaging = Averaging.none
  /// Batches whose gradients make one update.
  var accumulation = 1
  /// The options as members of a JSON object, without its braces.
  public let record: Writer

  init(_ rule: Rule, record: Writer) { (self.rule, self.record) = (rule, record) }

  /// Whether the learning rate follows from the step and cannot be set.
  public var isScheduled: Bool { if case .constant = schedule { false } else { true } }
  /// That of the first step.
  public var learningRate: Double { schedule.rate(after: 0) }

  /// How many numbers of state each weight has for the rule itself, 0 to 3:
  ///
  ///     sgd      [momentum]                            with momentum
  ///     rmsprop  velocity, [momentum], [mean gradient] with momentum, centered
  ///     adam(w)  momentum, velocity, [largest]         with amsgrad
  ///     adagrad  accumulator
  ///     adamax, nadam  momentum, velocity
  ///     adadelta mean square of the gradient, of the steps
  ///     ftrl     accumulator, linear
  ///     lion     momentum
  ///     adafactor  sums of rows and columns
  var ruleSlots: Int {
    let momentum = constants.momentum != 0 ? 1 : 0
    switch rule {
    case .sgd: return momentum
    case .rmsprop: return 1 + momentum + Int(constants.centered)
    case .adam, .adamw: return 2 + Int(constants.amsgrad)
    case .adagrad, .lion, .adafactor: return 1
    case .adamax, .nadam, .adadelta, .ftrl: return 2
    }
  }

  /// The place of the average of the weights among the slots, behind those of the rule.
  var averageSlot: Int? { averaging.isKept ? ruleSlots : nil }
  /// The place of the gradients that wait for an update, behind that.
  var accumulatorSlot: Int? { accumulation > 1 ? ruleSlots + (averaging.isKept ? 1 : 0) : nil }

  /// The lengths of all arrays of state, in floats.
  func slotLengths(_ plan: ParameterPlan) throws(LSTMError) -> [Int] {
    var lengths: [Int] = []
    for _ in 0..<ruleSlots {
      lengths.append(updatesWholeParameters ? statePlace(plan.entries.count, plan) : plan.count)
    }
    if averaging.isKept { lengths.append(plan.count) }
    if accumulation > 1 { lengths.append(plan.count) }
    try Memory.check()
    return lengths
  }

  /// Whether a parameter must be updated in one piece, with state that lies elsewhere than its weights.
  var updatesWholeParameters: Bool { rule == .adafactor }

  /// Where the state of parameter number `index` begins, when whole parameters are updated.
  func statePlace(_ index: Int, _ plan: ParameterPlan) -> Int {
    var place = 0
    for entry in plan.entries[..<index] where entry.isTrainable { place += Adafactor.stateCount(entry) }
    return place
  }

  /// What all of a slot is before the first update.
  func initialSlotValue(_ slot: Int) -> Float { slot == 0 ? firstAccumulator : 0 }

  /// What is the same for all parameters in one update.
  ///
  /// - Parameters:
  ///   - step: the number of this update, from 1.
  ///   - rate: the learning rate now.
  func prepare(step: UInt64, rate: Double) -> lstm_update {
    var u = constants
    u.rate = Float(rate)
    u.decay = Float(rate * weightDecay)
    // What the moments lack because they began at 0. The betas are those that the kernel uses.
    let first = 1 - shim_pow(Double(u.beta_1), Double(step))
    let second = 1 - shim_pow(Double(u.beta_2), Double(step))
    switch rule {
    case .adam, .adamw: u.rate = Float(rate * second.squareRoot() / first)
    case .adamax: u.rate = Float(rate / first)
    case .nadam:
      let (product, next) = momenta(step)
      u.rate = Float(rate * next / (1 - product * next))
      u.blend = Float(rate * (1 - momentum(step)) / (1 - product))
      u.correction = Float(1 / second)
    case .ftrl: u.l2 = Float(Double(constants.l2) + (rate > 0 ? beta / (2 * rate) : 0))
    default: break
    }
    return u
  }

  /// Nadam's momentum at a step.
  private func momentum(_ step: UInt64) -> Double {
    Double(constants.beta_1) * (1 - 0.5 * shim_pow(0.96, Double(step)))
  }

  /// The product of nadam's momenta up to a step, and that of the next step.
  private func momenta(_ step: UInt64) -> (product: Double, next: Double) {
    var product = 1.0
    // Far out they no longer change.
    let changing = min(step, 1000)
    for i in 0..<changing { product *= momentum(i + 1) }
    return (product * shim_pow(Double(constants.beta_1), Double(step - changing)), momentum(step + 1))
  }

  /// One step of one parameter or slice. Allocates nothing; they may be updated in any order and on any thread.
  ///
  /// - Parameter prepared: of this update.
  func update(_ parameter: ParameterUpdate, _ prepared: lstm_update, _ kernels: Kernels) {
    var u = prepared
    (u.count, u.w, u.g) = (parameter.count, parameter.weights, parameter.gradient)
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
      kernels.adam(&u)
    case .nadam:
      (u.m, u.v) = (slots[0], slots[1])
      kernels.nadam(&u)
    case .adagrad:
      u.v = slots[0]
      kernels.adagrad(&u)
    case .adamax:
      (u.m, u.v) = (slots[0], slots[1])
      kernels.adamax(&u)
    case .adadelta:
      (u.v, u.m) = (slots[0], slots[1])
      kernels.adadelta(&u)
    case .ftrl:
      (u.v, u.m) = (slots[0], slots[1])
      // The rule divides by the rate.
      if u.rate > 0 { kernels.ftrl(&u) }
    case .lion:
      u.m = slots[0]
      kernels.lion(&u)
    case .adafactor: break
    }
  }
}
