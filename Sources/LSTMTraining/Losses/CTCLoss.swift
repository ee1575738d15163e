internal import CLSTMShim
internal import LSTMDescription
internal import LSTMKernels
internal import LSTMLayers
internal import LSTMTensors

/// Connectionist temporal classification: -ln of the probability of a row's labels, which is the sum over all ways to spread
/// them over the steps, each label over one or more, with any number of blanks before, between and behind them:
///
///     p(l|x) = Σ over paths π with B(π) = l of Π_t y_t(π_t)
///
/// where B takes repeats together, then leaves out blanks.
/// - Source: Graves et al. 2006, equations 2 to 16; the gradient is that of the logits.
final class CTCLoss: SequenceLoss {
  private let blank: Int
  /// The description says that outputs are probabilities; where they come of a softmax all the same, the logits are used.
  private let readsProbabilities: Bool

  private init(_ fields: Fields, blank: Int, fromLogits: Bool?, passesImpossible: Bool) {
    self.blank = blank
    readsProbabilities = fromLogits == false
    super.init(
      fields,
      LossTraits(
        leastOutputs: max(2, blank + 1), activation: .softmax, readsLogits: fromLogits == true),
      .labels(LabelRules(blank: blank, passesImpossible: passesImpossible)))
  }

  static func make(_ fields: Fields) throws(LSTMError) -> Loss {
    let blank = try fields.integer("blank", 0...Int(Int32.max) - 1, default: 0)
    let fromLogits = try fields.optionalBoolean("from_logits")
    let passes = try fields.boolean("zero_infinity", default: false)
    return CTCLoss(fields, blank: blank, fromLogits: fromLogits, passesImpossible: passes)
  }

  override func memoryCount(steps: Int, labels: Int, width: Int) -> Int {
    CTCLattice.carve(steps: steps, labels: labels, width: width).count
  }

  override func evaluate(_ row: SequenceRow) -> Double {
    let lattice = CTCLattice(row, blank: blank, areLogits: row.areLogits || !readsProbabilities)
    guard lattice.isPossible else {
      for step in 0..<row.steps { row.gradient(step)?.clear(row.width) }
      return 0
    }
    guard lattice.makeProbabilities() else {
      for step in 0..<row.steps { row.gradient(step)?.clear(row.width) }
      return .nan
    }
    let whole = lattice.forward()
    if row.gradient != nil { lattice.backward(whole) }
    return -whole.logarithm
  }
}

/// The paths of one row's labels: at each step one of 2·labels + 1 states, a label or a blank beside it. From a state a path
/// goes on to itself, to the next, or past a blank between two labels that differ.
private struct CTCLattice {
  private let row: SequenceRow
  private let blank: Int
  private let areLogits: Bool
  private let states: Int
  /// Probabilities of the blank, then of each label: `[steps, labels + 1]`.
  private let probabilities: Magnitudes
  /// Of all beginnings of paths that end in a state, `[steps, states + 2]`: the first two of a step are nothing.
  private let forwards: Magnitudes
  /// Of all ends of paths from a state on, of one step: the last two of the `states + 2` are nothing.
  private let backwards: Magnitudes
  /// How probable it is that a path is in each class: `[width]`.
  private let shares: UnsafeMutablePointer<Double>
  /// `[width]`, where there is no gradient.
  private let softmax: MutableFloats

  struct Places {
    var count = 0
    var forwards = 0
    var backwards = 0
    var shares = 0
    var softmax = 0
  }

  static func carve(steps: Int, labels: Int, width: Int) -> Places {
    let (floats, states) = (Magnitudes.floats, min(Size.limit, 2 * min(labels, Size.limit) + 3))
    var plan = Carver()
    var places = Places()
    _ = plan.take(floats, steps, labels + 1)
    places.forwards = plan.take(floats, steps, states)
    places.backwards = plan.take(floats, states)
    places.shares = plan.take(2, width)
    places.softmax = plan.take(width)
    places.count = plan.count
    return places
  }

  init(_ row: SequenceRow, blank: Int, areLogits: Bool) {
    (self.row, self.blank, self.areLogits) = (row, blank, areLogits)
    let (steps, labels) = (row.steps, row.labelCount)
    states = 2 * labels + 1
    let places = CTCLattice.carve(steps: steps, labels: labels, width: row.width)
    probabilities = Magnitudes(row.memory, count: steps * (labels + 1))
    forwards = Magnitudes(row.memory + places.forwards, count: steps * (states + 2))
    backwards = Magnitudes(row.memory + places.backwards, count: states + 2)
    shares = UnsafeMutableRawPointer(row.memory + places.shares).assumingMemoryBound(to: Double.self)
    softmax = row.memory + places.softmax
  }

  /// Whether the steps are enough for the labels, with a blank between two of one kind.
  var isPossible: Bool {
    var needed = row.labelCount
    for i in 0..<max(0, row.labelCount - 1) where row.labels[i] == row.labels[i + 1] { needed += 1 }
    return needed <= row.steps
  }

  /// The states that a path can be in at a step, having come from the first two and still reaching the last two.
  @inline(__always) private func reachable(_ step: Int) -> Range<Int> {
    max(0, states - 2 * (row.steps - step))..<min(states, 2 * step + 2)
  }

  /// Whether a path may come to a state from the last but one.
  @inline(__always) private func skips(_ state: Int) -> Bool {
    state & 1 == 1 && state > 2 && row.labels[state >> 1] != row.labels[(state >> 1) - 1]
  }

  /// Where the probability of a state stands in those of a step.
  @inline(__always) private func slot(_ state: Int) -> Int { state & 1 == 1 ? (state + 1) >> 1 : 0 }
  @inline(__always) private func label(_ slot: Int) -> Int { slot == 0 ? blank : Int(row.labels[slot - 1]) }

  // MARK: Probabilities

  /// How the numbers of a step become probabilities.
  private struct Step {
    let y: Floats
    /// Of logits: exp(y - the largest), or a multiple.
    let p: Floats
    let top: Int
    /// What the others make beside the largest; 1 + rest is what all are divided by.
    let rest: Double
    /// Of probabilities.
    let sum: Double

    /// Of logits, in double precision: a small loss is the sum of what the largest lack of 1.
    @inline(__always) func probability(_ k: Int) -> Double {
      (k == top ? 1 : Double(p[k]) / Double(p[top])) / (1 + rest)
    }

    func magnitude(_ k: Int) -> Magnitude {
      if k == top || p[k] >= Float.leastNormalMagnitude { return Magnitude(probability(k)) }
      return Magnitude(exp: Double(y[k]) - Double(y[top]) - shim_log1p(rest))
    }
  }

  /// The step as `makeProbabilities` has left it.
  private func step(_ t: Int) -> Step {
    let y = row.outputs(t)
    guard areLogits else {
      var sum = 0.0
      for k in 0..<row.width { sum += Double(y[k]) }
      return Step(y: y, p: y, top: 0, rest: 0, sum: sum)
    }
    let p = Floats(row.gradient(t) ?? softmax)
    let top = firstLargest(y, row.width)
    var others = 0.0
    for k in 0..<row.width where k != top { others += Double(p[k]) }
    return Step(y: y, p: p, top: top, rest: others / Double(p[top]), sum: 1)
  }

  /// - Returns: false if an output is no number.
  func makeProbabilities() -> Bool {
    let count = row.labelCount + 1
    for t in 0..<row.steps {
      if areLogits { row.kernels.softmax(rows: 1, width: row.width, row.outputs(t), row.gradient(t) ?? softmax) }
      let step = step(t)
      guard step.rest.isFinite, step.sum.isFinite, step.sum != 0 else { return false }
      let to = probabilities + t * count
      for i in 0..<count {
        to[i] =
          areLogits ? step.magnitude(label(i)) : Magnitude(clipped(Double(step.y[label(i)]) / step.sum).p)
      }
    }
    return true
  }

  // MARK: Forward and backward

  /// - Returns: the probability of the labels.
  func forward() -> Magnitude {
    let count = row.labelCount + 1
    for t in 0..<row.steps {
      let (own, p) = (forwards + (t * (states + 2) + 2), probabilities + t * count)
      let range = reachable(t)
      (own[-2], own[-1]) = (.nothing, .nothing)
      if t == 0 {
        for s in range { own[s] = p[slot(s)] }
      } else {
        let before = forwards + ((t - 1) * (states + 2) + 2)
        for s in range {
          own[s] = Magnitude.sum(before[s], before[s - 1], skips(s) ? before[s - 2] : .nothing) * p[slot(s)]
        }
      }
      // The next step reaches two states farther.
      for s in range.upperBound..<min(states, range.upperBound + 2) { own[s] = .nothing }
    }
    let last = forwards + ((row.steps - 1) * (states + 2) + 2)
    return Magnitude.sum(last[states - 1], states > 1 ? last[states - 2] : .nothing, .nothing)
  }

  /// Writes the gradient.
  ///
  /// - Parameter whole: the probability of the labels.
  func backward(_ whole: Magnitude) {
    let count = row.labelCount + 1
    for s in 0..<states + 2 { backwards[s] = .nothing }
    // Behind the last step a path has ended in the last state, or the last but one.
    backwards[states - 1] = .one
    for t in stride(from: row.steps - 1, through: 0, by: -1) {
      let (own, p) = (forwards + (t * (states + 2) + 2), probabilities + t * count)
      shares.clear(row.width)
      for s in reachable(t) {
        let after = Magnitude.sum(
          backwards[s], backwards[s + 1], s + 2 < states && skips(s + 2) ? backwards[s + 2] : .nothing)
        shares[label(slot(s))] += Magnitude.share(own[s] * after, of: whole)
        backwards[s] = after * p[slot(s)]
      }
      writeGradient(t)
    }
  }

  private func writeGradient(_ t: Int) {
    guard let gradient = row.gradient(t) else { return }
    let step = step(t)
    if areLogits {
      // The largest last: the others are found beside it.
      for k in 0..<row.width where k != step.top {
        gradient[k] = Float(row.weight * (step.probability(k) - shares[k]))
      }
      gradient[step.top] = Float(row.weight * (1 / (1 + step.rest) - shares[step.top]))
      return
    }
    var slopes = 0.0
    for k in 0..<row.width where !clipped(Double(step.y[k]) / step.sum).isClipped { slopes += shares[k] }
    for k in 0..<row.width {
      let (p, isClipped) = clipped(Double(step.y[k]) / step.sum)
      gradient[k] = Float(row.weight * (slopes - (isClipped ? 0 : shares[k] / p)) / step.sum)
    }
  }
}
