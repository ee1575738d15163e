import CLSTMKernels
import LSTMTestSupport
import Testing

/// What one weight and its state become, in float64: the equations of keras.optimizers, one weight at a time.
private struct Weight {
  var w: Double, m: Double, v: Double, extra: Double

  mutating func sgd(_ u: lstm_update, _ g: Double) {
    decay(u)
    guard u.momentum != 0 else { return w -= rate(u) * g }
    m = m * Double(u.momentum) - g * rate(u)
    w += u.nesterov != 0 ? m * Double(u.momentum) - g * rate(u) : m
  }

  mutating func rmsprop(_ u: lstm_update, _ g: Double) {
    decay(u)
    let rho = Double(u.rho)
    v = rho * v + (1 - rho) * g * g
    if u.centered != 0 { extra = rho * extra + (1 - rho) * g }
    let variance = u.centered != 0 ? v - extra * extra : v
    let step = rate(u) * g / (variance + Double(u.epsilon)).squareRoot()
    guard u.momentum != 0 else { return w -= step }
    m = Double(u.momentum) * m + step
    w -= m
  }

  mutating func adam(_ u: lstm_update, _ g: Double) {
    decay(u)
    m += (g - m) * (1 - Double(u.beta_1))
    v += (g * g - v) * (1 - Double(u.beta_2))
    if u.amsgrad != 0 { extra = max(extra, v) }
    w -= m * rate(u) / ((u.amsgrad != 0 ? extra : v).squareRoot() + Double(u.epsilon))
  }

  mutating func nadam(_ u: lstm_update, _ g: Double) {
    m += (g - m) * (1 - Double(u.beta_1))
    v += (g * g - v) * (1 - Double(u.beta_2))
    let step = m * rate(u) + g * Double(u.blend)
    w -= step / ((v * Double(u.correction)).squareRoot() + Double(u.epsilon))
  }

  mutating func adamax(_ u: lstm_update, _ g: Double) {
    decay(u)
    m += (g - m) * (1 - Double(u.beta_1))
    v = max(v * Double(u.beta_2), g.magnitude)
    w -= m * rate(u) / (v + Double(u.epsilon))
  }

  mutating func adadelta(_ u: lstm_update, _ g: Double) {
    decay(u)
    let rho = Double(u.rho), epsilon = Double(u.epsilon)
    v = rho * v + (1 - rho) * g * g
    let step = (m + epsilon).squareRoot() * g / (v + epsilon).squareRoot()
    m = rho * m + (1 - rho) * step * step
    w -= rate(u) * step
  }

  mutating func lion(_ u: lstm_update, _ g: Double) {
    decay(u)
    let way = m * Double(u.beta_1) + g * (1 - Double(u.beta_1))
    w -= way > 0 ? rate(u) : way < 0 ? -rate(u) : 0
    m = m * Double(u.beta_2) + g * (1 - Double(u.beta_2))
  }

  mutating func ftrl(_ u: lstm_update, _ g: Double) {
    decay(u)
    let before = v.squareRoot()
    v += g * g
    m += g + 2 * Double(u.shrinkage) * w - (v.squareRoot() - before) / rate(u) * w
    let l1 = Double(u.l1)
    w = (min(max(m, -l1), l1) - m) / (v.squareRoot() / rate(u) + 2 * Double(u.l2))
  }

  mutating func adagrad(_ u: lstm_update, _ g: Double) {
    decay(u)
    v += g * g
    w -= rate(u) * g / (v + Double(u.epsilon)).squareRoot()
  }

  private func rate(_ u: lstm_update) -> Double { Double(u.rate) }
  private mutating func decay(_ u: lstm_update) { w -= w * Double(u.decay) }
}

/// A rule with one choice of its settings, and the buffers it needs.
private struct Rule: CustomTestStringConvertible, Sendable {
  typealias Settings = @Sendable (inout lstm_update) -> Void

  let testDescription: String
  let kernel: @Sendable (lstm_kernel_table, UnsafePointer<lstm_update>) -> Void
  let exact: @Sendable (inout Weight, lstm_update, Double) -> Void
  let settings: Settings
  var needs: (m: Bool, v: Bool, extra: Bool)
  /// Of m: it is a mean of squares.
  var positive = false

  static let all: [Rule] = [
    sgd("sgd", m: false) { _ in },
    sgd("sgd, decay", m: false) { $0.decay = 0.02 },
    sgd("sgd, momentum", m: true) { $0.momentum = 0.9 },
    sgd("sgd, Nesterov", m: true) { ($0.momentum, $0.nesterov) = (0.9, 1) },
    rmsprop("rmsprop", m: false, extra: false) { _ in },
    rmsprop("rmsprop, momentum", m: true, extra: false) { $0.momentum = 0.8 },
    rmsprop("rmsprop, centered", m: false, extra: true) { $0.centered = 1 },
    rmsprop("rmsprop, all", m: true, extra: true) { ($0.centered, $0.momentum, $0.decay) = (1, 0.8, 0.02) },
    adam("adam", extra: false) { _ in },
    adam("adam, decay", extra: false) { $0.decay = 0.02 },
    adam("adam, amsgrad", extra: true) { $0.amsgrad = 1 },
    Rule(
      testDescription: "adagrad", kernel: { $0.adagrad($1) }, exact: { $0.adagrad($1, $2) },
      settings: { $0.decay = 0.02 }, needs: (false, true, false)),
    Rule(
      testDescription: "nadam", kernel: { $0.nadam($1) }, exact: { $0.nadam($1, $2) },
      settings: { ($0.blend, $0.correction) = (0.02, 1.5) }, needs: (true, true, false)),
    Rule(
      testDescription: "adamax", kernel: { $0.adamax($1) }, exact: { $0.adamax($1, $2) },
      settings: { $0.decay = 0.02 }, needs: (true, true, false)),
    Rule(
      testDescription: "adadelta", kernel: { $0.adadelta($1) }, exact: { $0.adadelta($1, $2) },
      settings: { $0.decay = 0.02 }, needs: (true, true, false), positive: true),
    Rule(
      testDescription: "lion", kernel: { $0.lion($1) }, exact: { $0.lion($1, $2) },
      settings: { $0.decay = 0.02 }, needs: (true, false, false)),
    Rule(
      testDescription: "ftrl", kernel: { $0.ftrl($1) }, exact: { $0.ftrl($1, $2) },
      settings: { ($0.rate, $0.l1, $0.l2, $0.shrinkage, $0.decay) = (0.5, 0.1, 0.2, 0.3, 0.02) },
      needs: (true, true, false)),
  ]

  private static func sgd(_ name: String, m: Bool, _ settings: @escaping Settings) -> Rule {
    Rule(
      testDescription: name, kernel: { $0.sgd($1) }, exact: { $0.sgd($1, $2) }, settings: settings,
      needs: (m, false, false))
  }

  private static func rmsprop(
    _ name: String, m: Bool, extra: Bool, _ settings: @escaping Settings
  ) -> Rule {
    Rule(
      testDescription: name, kernel: { $0.rmsprop($1) }, exact: { $0.rmsprop($1, $2) }, settings: settings,
      needs: (m, true, extra))
  }

  private static func adam(
    _ name: String, extra: Bool, _ settings: @escaping Settings
  ) -> Rule {
    Rule(
      testDescription: name, kernel: { $0.adam($1) }, exact: { $0.adam($1, $2) }, settings: settings,
      needs: (true, true, extra))
  }
}

@Suite struct OptimizerTests {
  /// Three steps, each checked against float64 from where the step before left off.
  @Test(arguments: KernelSet.all, Rule.all) private func equalsFloat64(set: KernelSet, rule: Rule) {
    let settings = settings(rule)
    for count in [0, 1, 2 * set.lanes + 3] {
      var numbers = Generator(31)
      var before = state(count, &numbers, rule)
      for _ in 1...3 {
        let g = numbers.floats(count), after = after(set, rule, settings, before, g)
        for i in 0..<count {
          let old = before.map { Double($0[i]) }
          var exact = Weight(w: old[0], m: old[1], v: old[2], extra: old[3])
          rule.exact(&exact, settings, Double(g[i]))
          let got = after.map { Double($0[i]) }, want = [exact.w, exact.m, exact.v, exact.extra]
          #expect(zip(got, want).allSatisfy { abs($0 - $1) <= 1.5e-7 * (1 + abs($1)) }, "weight \(i) of \(count)")
        }
        before = after
      }
    }
  }

  /// The state [w, m, v, extra] after one step; what the rule does not name is NULL to it.
  private func after(
    _ set: KernelSet, _ rule: Rule, _ settings: lstm_update, _ state: [[Float]], _ g: [Float]
  ) -> [[Float]] {
    Array(
      onCopies(of: state[0], state[1], state[2], state[3], g) { p in
        var update = settings
        (update.count, update.w, update.g) = (g.count, p[0], UnsafePointer(p[4]))
        update.m = rule.needs.m ? p[1] : nil
        update.v = rule.needs.v ? p[2] : nil
        update.extra = rule.needs.extra ? p[3] : nil
        rule.kernel(set.table, &update)
      }.prefix(4))
  }

  private func settings(_ rule: Rule) -> lstm_update {
    var update = lstm_update()
    (update.rate, update.epsilon, update.rho, update.beta_1, update.beta_2) = (0.01, 1e-3, 0.9, 0.9, 0.99)
    rule.settings(&update)
    return update
  }

  /// [w, m, v, extra]; v is a sum of squares.
  private func state(_ count: Int, _ numbers: inout Generator, _ rule: Rule) -> [[Float]] {
    let (w, m, extra) = (numbers.floats(count), numbers.floats(count), numbers.floats(count))
    return [w, rule.positive ? m.map { $0 * $0 } : m, numbers.floats(count).map { $0 * $0 + 1 }, extra]
  }

  /// Every set gives the bits of every other.
  @Test(arguments: Rule.all) private func setsAgreeBitForBit(rule: Rule) {
    var numbers = Generator(37)
    let before = state(37, &numbers, rule), g = numbers.floats(37)
    let results = KernelSet.all.map { after($0, rule, settings(rule), before, g).map(bits) }
    #expect(results.allSatisfy { $0 == results[0] })
  }

  /// The penalty and its gradient against float64, and what is behind the last weight.
  @Test(arguments: KernelSet.all) private func penalties(set: KernelSet) {
    for count in [0, 1, 3 * set.lanes + 2] {
      var numbers = Generator(41)
      var w = numbers.floats(count)
      if count > 2 { w[1] = 0 }
      let g = numbers.floats(count)
      for (l1, l2) in [(Float(0.25), Float(0)), (0, 0.5), (0.25, 0.5)] {
        var sum = 0.0
        let after = onCopies(of: w, g) { p in sum = set.table.penalize(count, l1, l2, p[0], p[1]) }
        var expected = 0.0
        for i in 0..<count {
          let x = Double(w[i])
          expected += Double(l1) * x.magnitude + Double(l2) * x * x
          let slope = Double(l1) * (x > 0 ? 1 : x < 0 ? -1 : 0) + 2 * Double(l2) * x
          #expect(abs(Double(after[1][i]) - Double(g[i]) - slope) <= 2e-7 * (1 + slope.magnitude))
        }
        #expect(abs(sum - expected) <= 1e-7 * (1 + expected))
        #expect(after[0] == w)
        _ = onCopies(of: w, g) { p in #expect(set.table.penalize(count, l1, l2, p[0], nil) == sum) }
      }
    }
  }
}
