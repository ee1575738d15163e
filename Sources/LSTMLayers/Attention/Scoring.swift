internal import LSTMKernels
internal import LSTMTensors

/// What of the score is learned or given: of a product its factor, of an additive score w and c.
///
/// They lie in the packed weights: the factor, or w [keyWidth], c.
struct Scoring {
  /// The factor, or c; as given unless it is learned.
  let scale: Parameter?
  let fixedScale: Float
  /// w, or the one number that all of w is; 1 unless it is learned.
  let weights: Parameter?
  /// Whether w begins with random numbers, in place of 1.
  let isDrawn: Bool

  init(scale: Parameter? = nil, fixedScale: Float = 1, weights: Parameter? = nil, isDrawn: Bool = false) {
    (self.scale, self.fixedScale, self.weights, self.isDrawn) = (scale, fixedScale, weights, isDrawn)
  }

  /// Of a product.
  func factor(_ packed: Floats) -> Float { packed[0] }

  func packedCount(_ core: AttentionCore) -> Int { core.addends + 1 }

  func pack(_ core: AttentionCore, _ values: Floats, into packed: MutableFloats) {
    let count = core.addends
    for i in 0..<count {
      packed[i] = weights.map { values[$0.offset + ($0.count == count ? i : 0)] } ?? 1
    }
    packed[count] = scale.map { values[$0.offset] } ?? fixedScale
  }

  /// Numbers of the gradient of a sequence: of w, and of c or the factor.
  func slopeCount(_ core: AttentionCore) -> Int {
    core.score == .additive ? core.addends + 1 : scale == nil ? 0 : 1
  }

  func addGradients(_ core: AttentionCore, _ slopes: Floats, to gradients: MutableFloats) {
    let count = core.addends
    if let weights {
      for i in 0..<count { gradients[weights.offset + (weights.count == count ? i : 0)] += slopes[i] }
    }
    if let scale { gradients[scale.offset] += slopes[count] }
  }

  func initialize(_ core: AttentionCore, _ values: MutableFloats, _ random: (Int) -> RandomSequence) {
    if let scale { values[scale.offset] = 1 }
    guard let weights else { return }
    if isDrawn {
      var sequence = random(0)
      // Glorot's limit for a vector.
      let limit = (3 / Double(weights.count)).squareRoot()
      uniform(values + weights.offset, count: weights.count, limit: limit, &sequence)
    } else {
      values[weights.offset] = 1
    }
  }
}
