internal import LSTMKernels
internal import LSTMTensors

/// One pass through an attention layer, by one of its workers. In each part between two meetings a worker reads what it has
/// made itself or what was made before the first of them.
struct AttentionPass {
  private let layer: AttentionLayer
  private let xs: Inputs
  private let pass: Pass
  private let plan: AttentionLayer.Plan
  private let queries: SequenceRows
  private let keys: SequenceRows
  private let limits: UnsafeMutablePointer<Int>

  init(_ layer: AttentionLayer, _ xs: Inputs, _ pass: Pass) {
    var pass = pass
    pass.mode = layer.mode(pass.mode)
    (self.layer, self.xs, self.pass) = (layer, xs, pass)
    let (x, other) = (xs[0], xs[xs.count - 1])
    plan = AttentionLayer.Plan(
      layer, steps: x.steps, keySteps: other.steps, batch: x.batch, pass.mode, pass.kernels)
    queries = SequenceRows(pass.workspace + plan.queries, steps: x.steps, batch: x.batch)
    keys = SequenceRows(pass.workspace + plan.keys, steps: other.steps, batch: x.batch)
    limits = UnsafeMutableRawPointer(pass.workspace + plan.limits).assumingMemoryBound(to: Int.self)
  }

  private var kernels: Kernels { pass.kernels }
  private var batch: Int { xs[0].batch }
  private var isSelf: Bool { xs.count == 1 }

  /// The valid steps of queries (and outputs), or of keys and values.
  private func rows(_ i: Int) -> SequenceRows { i % 3 == 0 ? queries : keys }
  private func at(_ place: Int) -> MutableFloats { pass.workspace + place }
  /// q, k, v or o, or its gradient.
  private func sequences(_ places: InlineArray<4, Int>, _ i: Int) -> Sequences {
    Sequences(at(places[i]), width: layer.coreWidth(i), rows(i))
  }

  /// Gathered rows as a dense layer takes them.
  private func signal(_ values: MutableFloats, _ rows: SequenceRows, width: Int) -> Signal {
    Signal(values: values, steps: rows.count, batch: 1, width: width)
  }
  private func coreSignal(_ i: Int) -> Signal { signal(at(plan.cores[i]), rows(i), width: layer.coreWidth(i)) }
  private func gathered(_ role: Int) -> Signal {
    signal(at(plan.gathered[role]), rows(role), width: layer.width(of: role))
  }

  // MARK: Forward

  func forward(into y: Signal) {
    if pass.part.isFirst { findRows() }
    pass.part.meet()
    for role in 0..<3 {
      let x = xs[layer.input(of: role)]
      if layer.firstRole(of: layer.input(of: role)) == role {
        rows(role).gather(x.values, width: x.width, into: at(plan.gathered[role]), pass.part)
      }
      if let projections = layer.projections {
        projections.layer(role).forward(gathered(role), into: coreSignal(role), layer.pass(role, pass, plan))
      }
    }
    scaleQueries()
    pass.part.meet()
    attend()
    pass.part.meet()
    if pass.mode == .stream, pass.part.isFirst {
      for stream in 0..<batch where keys.starts[stream + 1] > keys.starts[stream] { layer.core.count(stream, pass) }
    }
    var output = at(plan.cores[3])
    if let projections = layer.projections {
      output = at(plan.output)
      projections.output.forward(
        coreSignal(3), into: signal(output, queries, width: y.width), layer.pass(3, pass, plan))
    }
    queries.scatter(output, width: y.width, into: y.values, of: y.rows, pass.part)
  }

  private func findRows() {
    queries.find(xs[0], xs[0])
    if !isSelf { keys.find(xs[1], xs[xs.count - 1]) }
    queries.countSeen(keys, causal: layer.core.isCausal, into: limits)
  }

  /// Queries times the factor of their products: here, since every key would be too many.
  private func scaleQueries() {
    guard layer.core.score == .product else { return }
    let (own, width) = (pass.part.range(of: queries.count), layer.coreWidth(0))
    let (first, count) = (own.lowerBound * width, own.count * width)
    let q = at(plan.cores[0]) + first
    if layer.projections == nil { q.copy(from: at(plan.gathered[0]) + first, count: count) }
    kernels.scale(count, by: layer.scoring.factor(pass.packed), q)
  }

  private func attend() {
    let core = layer.core
    let (q, k, v, o) = (
      sequences(plan.cores, 0), sequences(plan.cores, 1), sequences(plan.cores, 2), sequences(plan.cores, 3)
    )
    if pass.mode == .stream {
      forEachHead { (stream, head, _) in
        core.keep(
          k.matrix(stream, column: head * core.keyWidth), v.matrix(stream, column: head * core.valueWidth), of: stream,
          head: head, pass)
      }
      pass.part.meet()
    }
    forEachHead { (sequence, head, desk) in
      let query = q.matrix(sequence, column: head * core.keyWidth)
      let key = k.matrix(sequence, column: head * core.keyWidth)
      let output = o.matrix(sequence, column: head * core.valueWidth)
      if pass.mode == .stream {
        core.step(query, isKept: key.rows > 0, of: sequence, head: head, into: output, desk, pass)
      } else {
        core.forward(
          query, key, v.matrix(sequence, column: head * core.valueWidth), into: output,
          limits + queries.starts[sequence], place: place(sequence, head), desk, pass)
      }
    }
  }

  private func forEachHead(_ body: (Int, Int, AttentionCore.Desk) -> Void) {
    let steps = pass.mode == .stream ? layer.core.window ?? max(1, pass.window) : xs[xs.count - 1].steps
    layer.core.forEachHead(steps: steps, batch: batch, at(plan.desks), pass, body)
  }

  /// Of a head's first query among those of all.
  private func place(_ sequence: Int, _ head: Int) -> Int { (sequence * layer.core.heads + head) * xs[0].steps }

  /// Writes the weights of each row, `shape` [heads, query timesteps, key timesteps], after `forward`.
  func writeWeights(_ shape: Shape, to sample: (Int) -> MutableFloats) {
    let core = layer.core
    let (q, k) = (sequences(plan.cores, 0), sequences(plan.cores, 1))
    forEachHead { (sequence, head, desk) in
      core.forEachQuery(
        q.matrix(sequence, column: head * core.keyWidth), k.matrix(sequence, column: head * core.keyWidth),
        limits + queries.starts[sequence], desk, pass
      ) { (query, seen, weights) in
        let to = sample(sequence) + (head * shape[1] + queries.step(query, of: sequence)) * shape[2]
        for (i, key) in seen.enumerated() { to[keys.step(key, of: sequence)] = weights[i] }
      }
    }
  }

  // MARK: Backward

  func backward(_ y: Signal, dy: MutableFloats, into dxs: InputGradients, gradients: MutableFloats) {
    let dO = at(plan.gradients[3])
    if let projections = layer.projections {
      let gathered = at(plan.output)
      queries.gather(dy, width: y.width, into: gathered, pass.part)
      pass.part.meet()
      projections.output.backward(
        coreSignal(3), y, dy: gathered, into: dO, gradients: gradients, layer.pass(3, pass, plan))
    } else {
      queries.gather(dy, width: y.width, into: dO, pass.part)
    }
    pass.part.meet()
    backThroughCore()
    pass.part.meet()
    if pass.part.isFirst { addScoreGradients(gradients) }
    for role in 0..<3 {
      // Other rows than those of the role before have other workers.
      if role > 0, !isSelf { pass.part.meet() }
      backThroughInput(role, dxs, gradients)
    }
  }

  private func backThroughCore() {
    let (core, slopeCount) = (layer.core, layer.scoring.slopeCount(layer.core))
    let factor = core.score == .product ? layer.scoring.factor(pass.packed) : 1
    func matrix(_ places: InlineArray<4, Int>, _ i: Int, _ sequence: Int, _ head: Int) -> Matrix {
      sequences(places, i).matrix(sequence, column: head * (i < 2 ? core.keyWidth : core.valueWidth))
    }
    forEachHead { (sequence, head, desk) in
      let dq = matrix(plan.gradients, 0, sequence, head)
      let slopes = at(plan.slopes) + sequence * slopeCount
      slopes.clear(slopeCount)
      core.backward(
        matrix(plan.cores, 0, sequence, head), matrix(plan.cores, 1, sequence, head),
        matrix(plan.cores, 2, sequence, head), do: matrix(plan.gradients, 3, sequence, head), dq: dq,
        dk: matrix(plan.gradients, 1, sequence, head), dv: matrix(plan.gradients, 2, sequence, head), slopes: slopes,
        limits + queries.starts[sequence], place: place(sequence, head), desk, pass)
      guard core.score == .product else { return }
      if slopeCount > 0 {
        let x = Sequences(at(plan.gathered[0]), width: core.keyWidth, queries).matrix(sequence, column: 0)
        slopes[0] = kernels.dot(dq.rows * core.keyWidth, dq.at, x.at)
      }
      for i in 0..<dq.rows { kernels.scale(core.keyWidth, by: factor, dq.row(i)) }
    }
  }

  /// Adds up what the sequences have, in their order.
  private func addScoreGradients(_ gradients: MutableFloats) {
    let count = layer.scoring.slopeCount(layer.core)
    if count == 0 { return }
    let sums = at(plan.slopes)
    for sequence in 1..<max(1, batch) { kernels.add(count, sums + sequence * count, to: sums) }
    layer.scoring.addGradients(layer.core, sums, to: gradients)
  }

  /// From the gradient of q, k or v that of the input it was made from.
  private func backThroughInput(_ role: Int, _ dxs: InputGradients, _ gradients: MutableFloats) {
    let input = layer.input(of: role)
    let (dx, width) = (dxs[input], layer.width(of: role))
    var own = at(plan.gradients[role])
    if let projections = layer.projections {
      let passing = dx.map { _ in at(plan.passing) }
      projections.layer(role).backward(
        gathered(role), coreSignal(role), dy: own, into: passing, gradients: gradients, layer.pass(role, pass, plan))
      own = at(plan.passing)
    }
    guard let dx else { return }
    if layer.firstRole(of: input) == role {
      rows(role).scatter(own, width: width, into: dx, of: xs[input].rows, pass.part)
    } else {
      rows(role).add(own, width: width, to: dx, pass.part, kernels)
    }
  }
}
