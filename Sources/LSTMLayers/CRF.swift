internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// A conditional random field over the tags of a sequence: it reads a score for each tag at each step (emissions) and has
/// scores of its own for each pair of neighbours, the first tag and the last. Outputs are its decisions: 1 for the tag of
/// the best sequence and 0 for the others, or the probability of each tag.
///
/// Shapes: x, y [timesteps, tags]; transitions [tags, tags] from row to column, start and end [tags]. Over padding stands
/// what the step before has, before the first step 0.
///
/// What is learned is no function of the outputs alone, nor may a loss know this layer. So the layer says by `chain` that
/// it decides by a linear chain over its input, and where the scores of that stand: a loss of such chains begins at the
/// input, as one of logits begins before a softmax, and makes the gradients of the scores together with that of the
/// emissions, all from one pass over the sequence. To hand on scores that hold the transitions too, one for each pair of
/// tags, would cost as many numbers a step as there are pairs.
/// - Source: Lafferty, McCallum & Pereira 2001, `LinearChain`.
final class CRFLayer: Layer {
  private let makesProbabilities: Bool

  private init(name: String, shape: Shape, parameters: [Parameter], makesProbabilities: Bool) {
    self.makesProbabilities = makesProbabilities
    super.init(name: name, outputShape: shape, parameters: parameters)
  }

  static func make(_ model: inout Construction) throws(LSTMError) {
    let fields = model.fields
    let tags = try fields.integer("units", 1...Fields.unlimited)
    let output = try fields.choice("output", ["tags", "probabilities"], default: 0)
    guard !model.stages.isEmpty else {
      throw .argument("\(fields.path): expected a layer before it, whose outputs are scores of tags, got none")
    }
    let shape = try model.values(rank: 2)
    guard shape.rank == 2, shape.last == tags else {
      throw .argument(
        "\(fields.path): expected an input of a score for each of \(tags) tags, (timesteps, \(tags)), got \(shape.text)"
      )
    }
    let parameters = [
      try model.parameter("start", Shape(tags)), try model.parameter("transitions", Shape(tags, tags)),
      try model.parameter("end", Shape(tags)),
    ]
    try model.append(
      CRFLayer(name: model.name, shape: shape, parameters: parameters, makesProbabilities: output == 1))
  }

  override var chain: ChainPlaces? {
    ChainPlaces(
      tags: outputShape.last, start: parameters[0].offset, transitions: parameters[1].offset, end: parameters[2].offset)
  }

  override var needsFuture: StaticString? { "crf" }
  override var carriesState: Bool { true }

  private struct Memory {
    let places: UnsafeMutablePointer<Int>
    let shares: UnsafeMutablePointer<Double>
    let rest: MutableFloats

    static func count(tags: Int, steps: Int, sums: Bool) -> Int {
      var plan = Carver()
      _ = plan.take(2, steps)
      _ = plan.take(2, tags)
      _ = plan.take(
        sums ? LinearChain.Sums.count(tags: tags, steps: steps) : BestTags.count(tags: tags, steps: steps, best: 1))
      return plan.count
    }

    init(_ memory: MutableFloats, tags: Int, steps: Int) {
      var plan = Carver()
      _ = plan.take(2, steps)
      places = UnsafeMutableRawPointer(memory).assumingMemoryBound(to: Int.self)
      shares = UnsafeMutableRawPointer(memory + plan.take(2, tags)).assumingMemoryBound(to: Double.self)
      rest = memory + plan.count
    }
  }

  private func rowCount(_ steps: Int) -> Int {
    Memory.count(tags: outputShape.last, steps: steps, sums: makesProbabilities)
  }

  override func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    Carver.product(rowCount(steps), batch)
  }

  override func forward(_ x: Signal, into y: Signal, _ pass: Pass) {
    guard let chain else { return }
    for row in pass.part.range(of: x.batch) {
      let memory = Memory(pass.workspace + row * rowCount(x.steps), tags: chain.tags, steps: x.steps)
      let steps = x.validPlaces(row, into: memory.places)
      if steps > 0 {
        let own = LinearChain(chain, pass.weights, Floats(x.values), memory.places, steps: steps)
        decide(own, memory, into: y)
      }
      fillPadding(x, row, y)
    }
  }

  /// May write over the emissions.
  private func decide(_ chain: LinearChain, _ memory: Memory, into y: Signal) {
    let width = y.width
    guard chain.isFinite else {
      for t in 0..<chain.steps { (y.values + memory.places[t] * width).update(repeating: .nan, count: width) }
      return
    }
    if makesProbabilities {
      let sums = LinearChain.Sums(memory.rest, tags: width, steps: chain.steps)
      chain.backward(sums, chain.forward(sums), shares: memory.shares, gradient: nil) { t in
        let to = y.values + memory.places[t] * width
        for j in 0..<width { to[j] = Float(memory.shares[j]) }
      }
      return
    }
    BestTags(of: chain, 1, memory.rest).forEachTag(0) { (t, tag) in
      let to = y.values + memory.places[t] * width
      to.clear(width)
      to[tag] = 1
    }
  }

  /// As a recurrent layer carries its output.
  private func fillPadding(_ x: Signal, _ row: Int, _ y: Signal) {
    guard let mask = x.mask else { return }
    var last: MutableFloats?
    for step in 0..<x.steps where row < x.rows(at: step) {
      let place = x.first(step) + row
      let to = y.values + place * y.width
      if mask[place] != 0 {
        last = to
      } else if let last {
        to.copy(from: last, count: y.width)
      } else {
        to.clear(y.width)
      }
    }
  }

  /// A decision is constant but where it jumps; of probabilities no more than the loss's gradient is to be had.
  override func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {
    guard let dx, pass.part.isFirst else { return }
    dx.clear(x.count)
  }

  override func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {
    for (i, parameter) in parameters.enumerated() {
      var sequence = random(i)
      uniform(weights + parameter.offset, count: parameter.count, limit: 0.1, &sequence)
    }
  }
}
