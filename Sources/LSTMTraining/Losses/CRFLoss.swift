internal import LSTMDescription
internal import LSTMKernels
internal import LSTMLayers
internal import LSTMModels
internal import LSTMTensors

/// -ln p of a row's tags by the linear chain in which the model ends: of its emissions, which the loss reads, and its scores,
/// whose gradient the loss makes too.
///
/// - Source: Lafferty, McCallum & Pereira 2001; `LinearChain`.
final class CRFLoss: SequenceLoss {
  static func make(_ fields: Fields) -> Loss {
    CRFLoss(fields, LossTraits(usesClasses: true, isCategorical: true), .tags)
  }

  override func memoryCount(steps: Int, labels: Int, width: Int) -> Int {
    var plan = Carver()
    _ = plan.take(2, width)
    _ = plan.take(LinearChain.Sums.count(tags: width, steps: steps))
    return plan.count
  }

  override func evaluate(_ row: SequenceRow) -> Double {
    guard let own = row.chain else { return .nan }
    let chain = LinearChain(own.places, own.weights, row.outputs, row.places, steps: row.steps)
    guard chain.isFinite else {
      for t in 0..<row.steps { row.gradient(t)?.clear(row.width) }
      return .nan
    }
    var plan = Carver()
    let shares = UnsafeMutableRawPointer(row.memory + plan.take(2, row.width)).assumingMemoryBound(to: Double.self)
    let sums = LinearChain.Sums(row.memory + plan.count, tags: row.width, steps: row.steps)
    let whole = chain.forward(sums)
    let loss = whole.logarithm - chain.score(row.labels)
    guard row.gradient != nil else { return loss }
    chain.backward(sums, whole, shares: shares, gradient: own.gradient) { t in
      guard let gradient = row.gradient(t) else { return }
      for j in 0..<row.width {
        gradient[j] = Float(row.weight * (shares[j] - (Int(row.labels[t]) == j ? 1 : 0)))
      }
    }
    own.places.subtract(row.labels, steps: row.steps, from: own.gradient)
    for i in 0..<own.places.count { own.gradient[i] *= row.weight }
    return loss
  }
}

/// The chain in which a model ends, with a gradient of its scores for each row of a part of a batch: so no sum depends on
/// which worker has taken which row.
final class ChainTargets {
  struct Row {
    let places: ChainPlaces
    let weights: Floats
    /// `[places.count]`.
    let gradient: UnsafeMutablePointer<Double>
  }

  private let places: ChainPlaces
  private let model: Model
  private var gradients: Buffer?
  private var weights: Weights
  private var rows = 0

  init(_ places: ChainPlaces, _ model: Model) {
    (self.places, self.model) = (places, model)
    weights = model.currentWeights
  }

  func prepare(_ weights: Weights, rows: Int) throws(LSTMError) {
    let needed = try Size.product(rows, places.count)
    if (gradients?.byteCount ?? 0) / MemoryLayout<Double>.stride < needed {
      gradients = nil
      gradients = try Buffer.make(model.allocator, needed, of: Double.self)
    }
    (self.weights, self.rows) = (weights, rows)
  }

  private var base: UnsafeMutablePointer<Double> {
    gradients?.pointer(to: Double.self) ?? UnsafeMutablePointer(bitPattern: 64)!
  }

  /// A row, with a gradient of 0.
  func row(_ i: Int) -> Row {
    let gradient = base + i * places.count
    gradient.clear(places.count)
    return Row(places: places, weights: Floats(weights.parameters.floats), gradient: gradient)
  }

  /// After all rows: one worker's share.
  func addGradients(to gradients: MutableFloats, _ part: Part) {
    places.add(part.range(of: places.count), base, rows: rows, to: gradients)
  }
}

extension BatchTargets {
  func prepareChain(_ places: ChainPlaces?, _ run: Run, rows: Int) throws(LSTMError) {
    guard let places else { return }
    let chain = chain ?? ChainTargets(places, run.model)
    try chain.prepare(run.weights, rows: rows)
    self.chain = chain
  }
}
