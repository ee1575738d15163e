internal import CLSTMShim
public import LSTMKernels
public import LSTMTensors

/// Where the scores of a linear chain lie among the parameters of a model.
public struct ChainPlaces: BitwiseCopyable {
  public let tags: Int
  /// `[tags]`, `[tags, tags]` and `[tags]`.
  let start: Int
  let transitions: Int
  let end: Int

  /// Of all its scores.
  public var count: Int { Carver.product(tags, tags) + 2 * tags }

  /// Takes the counts of a path from a gradient, laid out start, transitions, end.
  public func subtract(_ path: UnsafePointer<Int32>, steps: Int, from gradient: UnsafeMutablePointer<Double>) {
    gradient[Int(path[0])] -= 1
    for t in 1..<max(1, steps) { gradient[tags + Int(path[t - 1]) * tags + Int(path[t])] -= 1 }
    gradient[tags + tags * tags + Int(path[steps - 1])] -= 1
  }

  /// Adds a gradient, laid out start, transitions, end, to that of the parameters: some of its numbers.
  ///
  /// - Parameter rows: there is one for each, to be added in this order.
  public func add(
    _ range: Range<Int>, _ gradient: UnsafePointer<Double>, rows: Int, to gradients: MutableFloats
  ) {
    for i in range {
      var sum = 0.0
      for row in 0..<rows { sum += gradient[row * count + i] }
      let inner = i - tags
      let place = i < tags ? start + i : inner < tags * tags ? transitions + inner : end + inner - tags * tags
      gradients[place] += Float(sum)
    }
  }
}

/// A linear chain over one row: with emissions e, the score of tags y₁ … y_T is
///
///     s(y) = start[y₁] + Σ_t e_t[y_t] + Σ_t transitions[y_{t-1}, y_t] + end[y_T]
///
/// and p(y) = exp s(y) / Σ over all tags exp s. What is summed over all tags goes forward and backward over the steps in
/// `Magnitude`, which neither overflows nor loses a tag that is far less probable than the others.
/// - Source: Lafferty, McCallum & Pereira 2001; Rabiner 1989 for the recursions.
public struct LinearChain {
  let tags: Int
  let start: Floats
  let transitions: Floats
  let end: Floats
  private let emissions: Floats
  /// Of step t the emissions begin at `places[t] · tags`.
  private let places: UnsafePointer<Int>
  let steps: Int

  /// - Parameters:
  ///   - weights: all parameters.
  ///   - steps: at least one.
  public init(
    _ chain: ChainPlaces, _ weights: Floats, _ emissions: Floats, _ places: UnsafePointer<Int>, steps: Int
  ) {
    tags = chain.tags
    (start, transitions, end) = (weights + chain.start, weights + chain.transitions, weights + chain.end)
    (self.emissions, self.places, self.steps) = (emissions, places, steps)
  }

  @inline(__always) func emissions(_ t: Int) -> Floats { emissions + places[t] * tags }

  public func score(_ path: UnsafePointer<Int32>) -> Double {
    var sum = Double(start[Int(path[0])]) + Double(end[Int(path[steps - 1])])
    for t in 0..<steps {
      sum += Double(emissions(t)[Int(path[t])])
      if t > 0 { sum += Double(transitions[Int(path[t - 1]) * tags + Int(path[t])]) }
    }
    return sum
  }

  /// Whether all emissions are finite.
  public var isFinite: Bool {
    for t in 0..<steps {
      for j in 0..<tags where !emissions(t)[j].isFinite { return false }
    }
    return true
  }

  // MARK: Sums over all tags

  /// Memory for these sums.
  public struct Sums {
    fileprivate let transitions: Magnitudes
    fileprivate let end: Magnitudes
    /// exp of the emissions, and the sums of all beginnings that end in a tag: `[steps, tags]` each.
    fileprivate let emissions: Magnitudes
    fileprivate let forwards: Magnitudes
    /// The sum of all ends behind a tag, times the emission of the tag or without: `[tags]` each.
    fileprivate let behind: Magnitudes
    fileprivate let backwards: Magnitudes

    /// Floats, for rows of so many steps.
    public static func count(tags: Int, steps: Int) -> Int {
      var plan = Carver()
      _ = plan.take(Magnitudes.floats, Carver.product(tags, tags) + 3 * tags)
      _ = plan.take(Magnitudes.floats, 2, steps, tags)
      return plan.count
    }

    /// - Parameter memory: of `count` floats, at a multiple of 8 bytes.
    public init(_ memory: MutableFloats, tags: Int, steps: Int) {
      var place = 0
      func take(_ count: Int) -> Magnitudes {
        defer { place += Magnitudes.floats * count }
        return Magnitudes(memory + place, count: count)
      }
      (transitions, end, behind, backwards) = (take(tags * tags), take(tags), take(tags), take(tags))
      (emissions, forwards) = (take(steps * tags), take(steps * tags))
    }
  }

  /// The sum of the exponentials of all scores; emissions are finite.
  public func forward(_ sums: Sums) -> Magnitude {
    for i in 0..<tags * tags { sums.transitions[i] = Magnitude(exp: Double(transitions[i])) }
    for j in 0..<tags { sums.end[j] = Magnitude(exp: Double(end[j])) }
    for t in 0..<steps {
      let (e, own) = (sums.emissions + t * tags, sums.forwards + t * tags)
      for j in 0..<tags { e[j] = Magnitude(exp: Double(emissions(t)[j])) }
      for j in 0..<tags {
        let before =
          t == 0
          ? Magnitude(exp: Double(start[j]))
          : product(sums.forwards + (t - 1) * tags, sums.transitions + j, stride: tags)
        own[j] = before * e[j]
      }
    }
    return product(sums.forwards + (steps - 1) * tags, sums.end, stride: 1)
  }

  /// Σ_i a[i] · b[i · stride].
  @inline(__always) private func product(_ a: Magnitudes, _ b: Magnitudes, stride: Int) -> Magnitude {
    var most = Int.min
    for i in 0..<tags { most = max(most, a.exponents[i] &+ b.exponents[i &* stride]) }
    var sum = 0.0
    for i in 0..<tags {
      let share = Magnitude.powerOfTwo(a.exponents[i] &+ b.exponents[i &* stride] &- most)
      sum += a.mantissas[i] * b.mantissas[i &* stride] * share
    }
    return Magnitude(sum, exponent: most)
  }

  /// After `forward`: calls `body` with each step from the last to the first and the probabilities of its tags, and adds
  /// to `gradient` how often each start, transition and end is expected.
  ///
  /// - Parameters:
  ///   - whole: what `forward` gave.
  ///   - shares: `[tags]`, to be written.
  ///   - gradient: `ChainPlaces.count` numbers, or nil.
  public func backward(
    _ sums: Sums, _ whole: Magnitude, shares: UnsafeMutablePointer<Double>, gradient: UnsafeMutablePointer<Double>?,
    _ body: (Int) -> Void
  ) {
    for t in Swift.stride(from: steps - 1, through: 0, by: -1) {
      let own = sums.forwards + t * tags
      for j in 0..<tags {
        sums.backwards[j] =
          t == steps - 1 ? sums.end[j] : product(sums.behind, sums.transitions + j * tags, stride: 1)
        shares[j] = Magnitude.share(own[j] * sums.backwards[j], of: whole)
      }
      for j in 0..<tags { sums.behind[j] = sums.backwards[j] * (sums.emissions + t * tags)[j] }
      if let gradient { count(t, sums, whole, shares, gradient) }
      body(t)
    }
  }

  private func count(
    _ t: Int, _ sums: Sums, _ whole: Magnitude, _ shares: UnsafeMutablePointer<Double>,
    _ gradient: UnsafeMutablePointer<Double>
  ) {
    let (pairs, ends) = (gradient + tags, gradient + tags + tags * tags)
    if t == steps - 1 { for j in 0..<tags { ends[j] += shares[j] } }
    if t == 0 {
      for j in 0..<tags { gradient[j] += shares[j] }
      return
    }
    let before = sums.forwards + (t - 1) * tags
    for i in 0..<tags {
      let first = before[i] / whole
      for j in 0..<tags {
        let both = first * sums.transitions[i * tags + j] * sums.behind[j]
        pairs[i * tags + j] += Magnitude.share(both, of: .one)
      }
    }
  }
}
