internal import LSTMKernels
internal import LSTMTensors

/// What each step of a sequence takes from the steps of another, head by head:
///
///     o[t] = Σ w[t, s] v[s]    w[t, ·] = softmax(score(q[t], k[·]))
///
/// A step's sums go over the steps that it sees, from the first to the last, and over nothing else: so the result is the
/// same, to the last bit, whatever else is computed beside it, in a batch or as it comes in a stream.
///
/// Weights are made for a few steps at a time, and again on the way back: memory grows with the length of the sequences,
/// not with its square. The idea is that of Dao et al. 2022 (FlashAttention).
/// - Shapes: of one sequence q [queries, heads · keyWidth], k [keys, heads · keyWidth], v [keys, heads · valueWidth],
///   o [queries, heads · valueWidth].
struct AttentionCore {
  enum Score {
    /// q · k
    case product
    /// Σ w tanh(c (q + k)), w and c behind one another in the layer's packed weights.
    case additive
  }

  let score: Score
  let heads: Int
  let keyWidth: Int
  let valueWidth: Int
  /// Whether a step sees no later ones.
  let isCausal: Bool
  /// How many of the latest steps it sees at most, if it is causal.
  let window: Int?
  /// The share of the weights that are dropped in training.
  let rate: Double

  /// Queries whose weights are made together.
  static let block = 64
  /// Workers that have a desk to work at.
  private static let mostDesks = 8

  /// The steps that the queries of a block see.
  struct Span {
    private let limits: UnsafePointer<Int>
    private let window: Int
    let count: Int

    init(_ core: AttentionCore, _ limits: UnsafePointer<Int>, count: Int) {
      (self.limits, self.count, window) = (limits, count, core.window ?? Int.max)
    }

    /// Those of one query.
    @inline(__always) func range(_ query: Int) -> Range<Int> { max(0, limits[query] - window)..<limits[query] }
    /// Those of any.
    var all: Range<Int> { range(0).lowerBound..<limits[count - 1] }
    /// Those of every one.
    var shared: Range<Int> {
      let first = range(count - 1).lowerBound
      return first..<max(first, limits[0])
    }
  }

  /// One worker's memory.
  struct Desk {
    /// Floats from one row of weights to the next.
    let row: Int
    /// Keys and values with their columns as rows, `row` floats apart.
    let keys, values: MutableFloats
    /// Of a block.
    let weights, slopes, factors: MutableFloats
    /// Of an additive score, `[keys, keyWidth]`: q + k, tanh of it, and the gradient on its way.
    let sums, tangents, gradients: MutableFloats

    fileprivate init(_ plan: DeskPlan, _ memory: MutableFloats) {
      row = plan.row
      (keys, values) = (memory + plan.keys, memory + plan.values)
      (weights, slopes, factors) = (memory + plan.weights, memory + plan.slopes, memory + plan.factors)
      (sums, tangents, gradients) = (memory + plan.sums, memory + plan.tangents, memory + plan.gradients)
    }
  }

  fileprivate struct DeskPlan {
    let row: Int
    let keys, values, weights, slopes, factors, sums, tangents, gradients: Int
    let count: Int

    /// - Parameter steps: keys of a sequence, or of a stream's window.
    init(_ core: AttentionCore, steps: Int, _ mode: Mode) {
      let training = mode.keepsTape
      // Whole vectors are written, from any key on.
      row = min(Size.limit, (steps + 15) / 16 * 16 + 16)
      let queries = mode == .stream ? 1 : AttentionCore.block
      var plan = Carver()
      keys = plan.take(core.score == .product && mode != .stream ? core.keyWidth : 0, row)
      values = plan.take(training ? core.valueWidth : 0, row)
      weights = plan.take(queries, row)
      slopes = plan.take(training ? queries : 0, row)
      factors = plan.take(mode == .train && core.rate > 0 ? queries : 0, row)
      let additive = core.score == .additive ? steps : 0
      sums = plan.take(additive, core.keyWidth)
      tangents = plan.take(additive, core.keyWidth)
      gradients = plan.take(training ? additive : 0, core.keyWidth)
      count = plan.count
    }
  }

  /// Floats of workspace, for keys of so many steps; in a stream those of the window.
  func workspaceCount(steps: Int, batch: Int, _ mode: Mode) -> Int {
    Carver.product(desks(batch), DeskPlan(self, steps: steps, mode).count)
  }

  private func desks(_ batch: Int) -> Int { min(Carver.product(batch, heads), AttentionCore.mostDesks) }

  /// Calls `body` with a sequence and a head of it for each of this worker's share.
  func forEachHead(
    steps: Int, batch: Int, _ memory: MutableFloats, _ pass: Pass, _ body: (Int, Int, Desk) -> Void
  ) {
    let (desks, plan) = (desks(batch), DeskPlan(self, steps: steps, pass.mode))
    guard pass.part.worker < desks else { return }
    let desk = Desk(plan, memory + pass.part.worker * plan.count)
    let own = Part(pass.part.worker, of: min(pass.part.workers, desks), nil).range(of: batch * heads)
    for i in own { body(i / heads, i % heads, desk) }
  }

  // MARK: Forward

  /// Writes the outputs of one head of a sequence.
  ///
  /// - Parameters:
  ///   - limits: for each query how many keys stand no later.
  ///   - place: of the first query among those of all heads of all sequences, by which dropout tells them apart.
  func forward(
    _ q: Matrix, _ k: Matrix, _ v: Matrix, into o: Matrix, _ limits: UnsafePointer<Int>, place: Int, _ desk: Desk,
    _ pass: Pass
  ) {
    prepare(k, desk, pass.kernels)
    for first in stride(from: 0, to: q.rows, by: AttentionCore.block) {
      let span = Span(self, limits + first, count: min(AttentionCore.block, q.rows - first))
      weigh(q.row(first), stride: q.stride, k, span, desk, pass)
      if drops(pass) {
        drawFactors(place + first, span, desk, pass)
        pass.kernels.multiply(span.count * desk.row, desk.weights, desk.factors, desk.weights)
      }
      mix(v, span, desk, into: o.row(first), stride: o.stride, pass.kernels)
    }
  }

  func drops(_ pass: Pass) -> Bool { pass.mode == .train && rate > 0 }

  /// Each block has numbers of its own: they are drawn again on the way back.
  private func drawFactors(_ place: Int, _ span: Span, _ desk: Desk, _ pass: Pass) {
    drawDropout(desk.factors, count: span.count * desk.row, rate: rate, pass.random.part(UInt64(place)))
  }

  private func prepare(_ k: Matrix, _ desk: Desk, _ kernels: Kernels) {
    guard score == .product else { return }
    kernels.transpose(rows: k.rows, columns: keyWidth, k.at, inRow: k.stride, desk.keys, outRow: desk.row)
  }

  /// Makes the weights of a block's queries: those of `span.all`, and for each query right where it sees a step.
  private func weigh(_ q: Floats, stride: Int, _ k: Matrix, _ span: Span, _ desk: Desk, _ pass: Pass) {
    let all = span.all
    switch score {
    case .product:
      pass.kernels.multiply(
        rows: span.count, depth: keyWidth, columns: (all.count + 15) / 16 * 16, q, aRow: stride,
        desk.keys + all.lowerBound, bRow: desk.row, into: desk.weights, cRow: desk.row, start: .zero)
    case .additive:
      for query in 0..<span.count {
        let seen = span.range(query)
        scoreAdditively(
          q + query * stride, Matrix(at: k.row(seen.lowerBound), rows: seen.count, stride: k.stride),
          into: desk.weights + query * desk.row + seen.lowerBound - all.lowerBound, desk, pass)
      }
    }
    for query in 0..<span.count {
      let seen = span.range(query)
      let weights = desk.weights + query * desk.row + seen.lowerBound - all.lowerBound
      pass.kernels.softmax(rows: 1, width: seen.count, weights, weights)
    }
  }

  /// Sums the values with a block's weights. What all queries see is summed for all of them together, what some see before
  /// and after it for each.
  private func mix(
    _ v: Matrix, _ span: Span, _ desk: Desk, into o: MutableFloats, stride: Int, _ kernels: Kernels
  ) {
    let (all, shared) = (span.all, span.shared)
    func add(_ queries: Range<Int>, _ seen: Range<Int>, _ start: Start) {
      v.sum(
        seen, rows: queries.count, desk.weights + queries.lowerBound * desk.row + seen.lowerBound - all.lowerBound,
        row: desk.row, width: valueWidth, into: o + queries.lowerBound * stride, oRow: stride, start, kernels)
    }
    if shared.isEmpty {
      for query in 0..<span.count { add(query..<query + 1, span.range(query), .zero) }
      return
    }
    let isPreceded = all.lowerBound < shared.lowerBound
    if isPreceded {
      for query in 0..<span.count {
        add(query..<query + 1, span.range(query).lowerBound..<shared.lowerBound, .zero)
      }
    }
    add(0..<span.count, shared, isPreceded ? .accumulate : .zero)
    for query in 0..<span.count where span.range(query).upperBound > shared.upperBound {
      add(query..<query + 1, shared.upperBound..<span.range(query).upperBound, .accumulate)
    }
  }

  /// Calls `body` with each query of a head, the keys that it sees and their weights.
  func forEachQuery(
    _ q: Matrix, _ k: Matrix, _ limits: UnsafePointer<Int>, _ desk: Desk, _ pass: Pass,
    _ body: (_ query: Int, _ seen: Range<Int>, _ weights: Floats) -> Void
  ) {
    prepare(k, desk, pass.kernels)
    for first in stride(from: 0, to: q.rows, by: AttentionCore.block) {
      let span = Span(self, limits + first, count: min(AttentionCore.block, q.rows - first))
      weigh(q.row(first), stride: q.stride, k, span, desk, pass)
      for query in 0..<span.count {
        let seen = span.range(query)
        body(
          first + query, seen,
          Floats(desk.weights + query * desk.row + seen.lowerBound - span.all.lowerBound))
      }
    }
  }

  // MARK: Backward

  /// Writes the gradients of one head of a sequence, and adds to `slopes` those of w and c of an additive score.
  func backward(
    _ q: Matrix, _ k: Matrix, _ v: Matrix, do dO: Matrix, dq: Matrix, dk: Matrix, dv: Matrix, slopes: MutableFloats,
    _ limits: UnsafePointer<Int>, place: Int, _ desk: Desk, _ pass: Pass
  ) {
    let kernels = pass.kernels
    prepare(k, desk, kernels)
    kernels.transpose(rows: v.rows, columns: valueWidth, v.at, inRow: v.stride, desk.values, outRow: desk.row)
    for i in 0..<k.rows {
      dk.row(i).clear(keyWidth)
      dv.row(i).clear(valueWidth)
    }
    for first in stride(from: 0, to: q.rows, by: AttentionCore.block) {
      let span = Span(self, limits + first, count: min(AttentionCore.block, q.rows - first))
      let all = span.all
      weigh(q.row(first), stride: q.stride, k, span, desk, pass)
      kernels.multiply(
        rows: span.count, depth: valueWidth, columns: (all.count + 15) / 16 * 16, dO.row(first), aRow: dO.stride,
        desk.values + all.lowerBound, bRow: desk.row, into: desk.slopes, cRow: desk.row, start: .zero)
      backThroughWeights(place + first, span, desk, pass)
      addTransposed(desk.weights, span, desk, dO.row(first), stride: dO.stride, width: valueWidth, to: dv, kernels)
      switch score {
      case .product:
        k.sum(
          all, rows: span.count, desk.slopes, row: desk.row, width: keyWidth, into: dq.row(first), oRow: dq.stride,
          .zero, kernels)
        addTransposed(desk.slopes, span, desk, q.row(first), stride: q.stride, width: keyWidth, to: dk, kernels)
      case .additive:
        for query in 0..<span.count {
          let seen = span.range(query)
          backThroughScores(
            q.row(first + query), Matrix(at: k.row(seen.lowerBound), rows: seen.count, stride: k.stride),
            Floats(desk.slopes + query * desk.row + seen.lowerBound - all.lowerBound), dq: dq.row(first + query),
            dk: Matrix(at: dk.row(seen.lowerBound), rows: seen.count, stride: dk.stride), slopes: slopes, desk, pass)
        }
      }
    }
  }

  /// From the gradient of the weights, in `desk.slopes`, that of the scores; weights and slopes are then zero where a query
  /// does not look, and the weights are those that the values were summed with.
  private func backThroughWeights(_ place: Int, _ span: Span, _ desk: Desk, _ pass: Pass) {
    let (kernels, all) = (pass.kernels, span.all)
    if drops(pass) {
      drawFactors(place, span, desk, pass)
      kernels.multiply(span.count * desk.row, desk.slopes, desk.factors, desk.slopes)
    }
    for query in 0..<span.count {
      let (weights, slopes) = (desk.weights + query * desk.row, desk.slopes + query * desk.row)
      let seen = span.range(query)
      let (before, end) = (seen.lowerBound - all.lowerBound, seen.upperBound - all.lowerBound)
      kernels.softmaxBackward(
        rows: 1, width: seen.count, y: weights + before, dy: slopes + before, dx: slopes + before)
      weights.clear(before)
      slopes.clear(before)
      (weights + end).clear(all.count - end)
      (slopes + end).clear(all.count - end)
    }
    if drops(pass) { kernels.multiply(span.count * desk.row, desk.weights, desk.factors, desk.weights) }
  }

  /// to += sᵀ · x for the steps that a block sees, s its weights or their slopes, x [queries, width].
  private func addTransposed(
    _ s: Floats, _ span: Span, _ desk: Desk, _ x: Floats, stride: Int, width: Int, to: Matrix, _ kernels: Kernels
  ) {
    let panels = Panels(columns: width, lanes: kernels.lanes)
    kernels.accumulateTransposed(
      0..<panels.count, rows: span.all.count, depth: span.count, s, aRow: desk.row, x, bRow: stride,
      bPanel: panels.width, panels, into: to.row(span.all.lowerBound), cRow: to.stride)
  }
}
