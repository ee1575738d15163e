internal import CLSTMShim
public import LSTMKernels
internal import LSTMTensors

/// The tags of the highest scores of a row, in memory that the caller owns.
///
/// - Source: Viterbi 1967; with more than one the list Viterbi algorithm of Seshadri & Sundberg 1994.
public struct BestTags {
  private let chain: LinearChain
  private let best: Int
  /// Scores of beginnings that end in each tag, the best first, `[2, tags, best]`.
  private let scores: UnsafeMutablePointer<Double>
  /// Those of the whole row, `[best]`, the best first; minus infinity where there are no more.
  private let wholeScores: UnsafeMutablePointer<Double>
  /// What each goes on from, tag · best + rank: `[steps, tags, best]`.
  private let origins: UnsafeMutablePointer<Int32>
  /// The same of the whole row: where it ends.
  private let ends: UnsafeMutablePointer<Int32>

  private static func carve(tags: Int, steps: Int, best: Int) -> (whole: Int, origins: Int, ends: Int, count: Int) {
    var plan = Carver()
    _ = plan.take(4, tags, best)
    let whole = plan.take(2, best)
    let origins = plan.take(steps, tags, best)
    let ends = plan.take(best)
    return (whole, origins, ends, plan.count)
  }

  /// Floats of memory, for rows of so many steps.
  public static func count(tags: Int, steps: Int, best: Int) -> Int {
    carve(tags: tags, steps: steps, best: best).count
  }

  /// - Parameter memory: of `count` floats, at a multiple of 8 bytes.
  public init(of chain: LinearChain, _ best: Int, _ memory: MutableFloats) {
    (self.chain, self.best) = (chain, best)
    let places = BestTags.carve(tags: chain.tags, steps: chain.steps, best: best)
    scores = UnsafeMutableRawPointer(memory).assumingMemoryBound(to: Double.self)
    wholeScores = UnsafeMutableRawPointer(memory + places.whole).assumingMemoryBound(to: Double.self)
    origins = UnsafeMutableRawPointer(memory + places.origins).assumingMemoryBound(to: Int32.self)
    ends = UnsafeMutableRawPointer(memory + places.ends).assumingMemoryBound(to: Int32.self)
    for t in 0..<chain.steps { extend(to: t) }
    let last = self.scores(chain.steps - 1)
    clear(wholeScores, ends)
    for j in 0..<chain.tags { offer(last, j, more: Double(chain.end[j]), wholeScores, ends) }
  }

  private func scores(_ t: Int) -> UnsafeMutablePointer<Double> { scores + (t & 1) * chain.tags * best }

  private func extend(to t: Int) {
    for j in 0..<chain.tags {
      let (to, from) = (scores(t) + j * best, origins + (t * chain.tags + j) * best)
      clear(to, from)
      let emission = Double(chain.emissions(t)[j])
      if t == 0 {
        to[0] = Double(chain.start[j]) + emission
        continue
      }
      for i in 0..<chain.tags {
        offer(scores(t - 1), i, more: Double(chain.transitions[i * chain.tags + j]) + emission, to, from)
      }
    }
  }

  private func clear(_ scores: UnsafeMutablePointer<Double>, _ origins: UnsafeMutablePointer<Int32>) {
    scores.update(repeating: -.infinity, count: best)
    origins.clear(best)
  }

  /// Puts the beginnings that end in a tag in their places, as far as they are among the best; of equal ones the first
  /// stays before.
  private func offer(
    _ before: UnsafeMutablePointer<Double>, _ tag: Int, more: Double, _ to: UnsafeMutablePointer<Double>,
    _ origins: UnsafeMutablePointer<Int32>
  ) {
    for rank in 0..<best {
      let score = before[tag * best + rank] + more
      guard score > to[best - 1] else { return }
      var place = best - 1
      while place > 0, score > to[place - 1] {
        (to[place], origins[place]) = (to[place - 1], origins[place - 1])
        place -= 1
      }
      (to[place], origins[place]) = (score, Int32(truncatingIfNeeded: tag * best + rank))
    }
  }

  /// That of the best, the second best and so on, counted from 0; minus infinity if there are not so many.
  public func score(_ rank: Int) -> Double { wholeScores[rank] }

  /// Calls `body` with each step, from the last to the first, and its tag.
  public func forEachTag(_ rank: Int, _ body: (_ step: Int, _ tag: Int) -> Void) {
    var place = Int(ends[rank])
    for t in stride(from: chain.steps - 1, through: 0, by: -1) {
      body(t, place / best)
      place = Int(origins[t * chain.tags * best + place])
    }
  }
}
