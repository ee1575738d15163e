internal import LSTMKernels
internal import LSTMLayers
public import LSTMTensors

/// How labels are found in outputs for each timestep.
public struct Decoding {
  public let beamWidth: Int
  /// Answers for each row.
  public let best: Int
  public let blank: Int
  /// The outputs are probabilities.
  public let areProbabilities: Bool

  public init(beamWidth: Int, best: Int, blank: Int, areProbabilities: Bool) {
    (self.beamWidth, self.best, self.blank) = (beamWidth, best, blank)
    self.areProbabilities = areProbabilities
  }

  /// Of a chain there is nothing to say but how many answers are wanted.
  fileprivate func check(tags: Int) throws(LSTMError) {
    guard beamWidth == 0, blank == 0, !areProbabilities else {
      throw .argument("decoding: expected no more than 'best' for a model that ends in a crf, got another setting")
    }
    guard best >= 1, Carver.product(tags, best) <= Int(Int32.max) else {
      throw .argument("decoding.best: expected 1 to \(Int(Int32.max) / tags), got \(best)")
    }
  }

  fileprivate func check(classes: Int) throws(LSTMError) {
    guard best >= 1, best <= max(1, beamWidth) else {
      throw .argument("decoding.best: expected 1 to \(max(1, beamWidth)), got \(best)")
    }
    guard blank < classes else { throw .argument("decoding.blank: expected 0 to \(classes - 1), got \(blank)") }
  }

  fileprivate func decoder(classes: Int, steps: Int) throws(LSTMError) -> CTCDecoder {
    try CTCDecoder.make(classes: classes, blank: blank, width: beamWidth, steps: steps)
  }
}

/// Where the answers for a batch go.
public struct DecodedLabels {
  /// `[rows, best, room]`.
  let labels: UnsafeMutablePointer<Int64>
  let room: Int
  let best: Int
  /// `[rows, best]`, if they are wanted.
  let scores: UnsafeMutablePointer<Double>?

  public init(
    labels: UnsafeMutablePointer<Int64>, room: Int, best: Int, scores: UnsafeMutablePointer<Double>?
  ) {
    (self.labels, self.room, self.best, self.scores) = (labels, room, best, scores)
  }

  fileprivate func write(_ decoder: CTCDecoder, row: Int) {
    decoder.finish(
      best: best, labels: labels + row * best * room, room: room, scores: scores.map { $0 + row * best })
  }
}

/// Outputs in the caller's memory.
public enum OutputDecoder {
  /// - Returns: the timesteps of each row, for which an answer needs room.
  public static func check(_ outputs: ArrayView, _ decoding: Decoding) throws(LSTMError) -> Int {
    guard outputs.element != .string else { throw .type("\(outputs.name).type: expected numbers, got string") }
    guard outputs.shape.rank == 3, outputs.shape[1] > 0, outputs.shape[2] > 0, outputs.shape[2] <= Int(Int32.max) else {
      throw .argument("\(outputs.name).shape: expected (rows, timesteps, classes), got \(outputs.shape.text)")
    }
    try decoding.check(classes: outputs.shape[2])
    return outputs.shape[1]
  }

  /// - Parameter outputs: that have been checked.
  public static func decode(
    _ outputs: ArrayView, _ decoding: Decoding, into answers: DecodedLabels
  ) throws(LSTMError) {
    let (steps, classes) = (outputs.shape[1], outputs.shape[2])
    let decoder = try decoding.decoder(classes: classes, steps: steps)
    let numbers = try Buffer.make(.system, classes, of: Float.self)
    for row in 0..<outputs.rows {
      decoder.begin()
      for step in 0..<steps where outputs.isValid(row: row, step: step) {
        outputs.copy(row: row, offset: step &* outputs.strides[1], axis: 2, count: classes, into: numbers.floats)
        decoder.take(Floats(numbers.floats), areLogits: !decoding.areProbabilities)
      }
      answers.write(decoder, row: row)
    }
  }
}

/// The outputs of a model for samples.
public struct ModelDecoder {
  private let model: Model
  private let feed: Feed
  private let rows: Int
  private let decoding: Decoding
  /// By which the model decides; nil: its outputs are those of classes.
  private let chain: ChainPlaces?
  /// Of each row's outputs.
  public let steps: Int

  public init(_ model: Model, _ x: ArrayView, _ decoding: Decoding) throws(LSTMError) {
    try model.checkSingle("model")
    guard model.outputShape.rank == 2 else {
      throw .unsupported(
        "model: expected outputs for each timestep, (timesteps, classes), got \(model.outputShape.text)")
    }
    chain = model.stages.last?.chain
    if let chain { try decoding.check(tags: chain.tags) } else { try decoding.check(classes: model.outputShape.last) }
    (self.model, rows, self.decoding) = (model, x.rows, decoding)
    feed = try Feed.make(model, Arrays(x), sameSteps: true)
    steps = try feed.outputShape()[1]
  }

  public func decode(into answers: DecodedLabels) throws(LSTMError) {
    let pinned = model.pin()
    defer { model.unpin(pinned) }
    let weights = pinned.weights
    if let chain {
      var plan = Carver()
      _ = plan.take(2, steps)
      _ = plan.take(
        max(
          LinearChain.Sums.count(tags: chain.tags, steps: steps),
          BestTags.count(tags: chain.tags, steps: steps, best: decoding.best)))
      let memory = try Buffer.make(.system, plan.count, of: Float.self)
      return try forEachRow(weights, endsEarly: true) { (output, i, row) in
        decode(chain, weights, output, i, memory.floats, into: answers, row)
      }
    }
    let decoder = try decoding.decoder(classes: model.outputShape.last, steps: steps)
    let areLogits = !(decoding.areProbabilities || model.endsInSoftmax)
    try forEachRow(weights, endsEarly: false) { (output, i, row) in
      decoder.begin()
      for step in 0..<output.steps where i < output.rows(at: step) {
        let place = output.first(step) + i
        if let mask = output.mask, mask[place] == 0 { continue }
        decoder.take(Floats(output.values + place * output.width), areLogits: areLogits)
      }
      answers.write(decoder, row: row)
    }
  }

  /// The best tags of a row, each at its step.
  private func decode(
    _ chain: ChainPlaces, _ weights: Weights, _ emissions: Signal, _ i: Int, _ memory: MutableFloats,
    into answers: DecodedLabels, _ row: Int
  ) {
    var plan = Carver()
    let places = UnsafeMutableRawPointer(memory + plan.take(2, steps)).assumingMemoryBound(to: Int.self)
    let rest = memory + plan.count
    let labels = answers.labels + row * answers.best * answers.room
    labels.update(repeating: -1, count: answers.best * answers.room)
    let scores = answers.scores.map { $0 + row * answers.best }
    scores?.update(repeating: -.infinity, count: answers.best)
    let valid = emissions.validPlaces(i, into: places)
    if valid == 0 { scores?[0] = 0 }
    let own = LinearChain(chain, Floats(weights.parameters.floats), Floats(emissions.values), places, steps: valid)
    guard valid > 0, own.isFinite else { return }
    let whole = own.forward(LinearChain.Sums(rest, tags: chain.tags, steps: valid)).logarithm
    let best = BestTags(of: own, answers.best, rest)
    for rank in 0..<answers.best where best.score(rank) > -.infinity {
      scores?[rank] = best.score(rank) - whole
      best.forEachTag(rank) { (t, tag) in labels[rank * answers.room + step(of: places[t], emissions)] = Int64(tag) }
    }
  }

  private func step(of place: Int, _ signal: Signal) -> Int {
    guard let starts = signal.starts else { return place / signal.batch }
    var step = 0
    while starts[step + 1] <= place { step += 1 }
    return step
  }

  /// Calls `body` with what all stages, or all but the last, make of each row.
  private func forEachRow(
    _ weights: Weights, endsEarly: Bool, _ body: (_ output: Signal, _ i: Int, _ row: Int) -> Void
  ) throws(LSTMError) {
    let run = try Run.make(model, .predict, endsEarly: endsEarly)
    run.weights = weights
    try feed.forEachBatch(of: rows, in: run) { batch in
      let output = run.forward()
      for i in batch { body(output, i, feed.row(i)) }
    }
  }
}

extension Model {
  /// Whether the outputs are probabilities by a softmax.
  var endsInSoftmax: Bool { (lastStage as? ActivationLayer).map { $0.activation == .softmax } ?? false }
}
