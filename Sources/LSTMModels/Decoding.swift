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
  /// Of each row's outputs.
  public let steps: Int

  public init(_ model: Model, _ x: ArrayView, _ decoding: Decoding) throws(LSTMError) {
    guard model.outputShape.rank == 2 else {
      throw .unsupported(
        "model: expected outputs for each timestep, (timesteps, classes), got \(model.outputShape.text)")
    }
    try decoding.check(classes: model.outputShape.last)
    (self.model, rows, self.decoding) = (model, x.rows, decoding)
    feed = try Feed.make(model, x, sameSteps: true)
    steps = try feed.outputShape()[1]
  }

  public func decode(into answers: DecodedLabels) throws(LSTMError) {
    let decoder = try decoding.decoder(classes: model.outputShape.last, steps: steps)
    let areLogits = !(decoding.areProbabilities || model.endsInSoftmax)
    let run = try Run.make(model, .predict)
    let batchSize = 32
    // Nothing may be written before the last thing that can fail.
    for isReading in [true, false] {
      for first in stride(from: 0, to: rows, by: batchSize) {
        let batch = 0..<min(batchSize, rows - first)
        try feed.begin(Rows(first: first, count: batch.count))
        if isReading, first > 0 { continue }
        try feed.load(batch, into: run)
        run.layOut()
        try Memory.check()
        if isReading { continue }
        _ = feed.fill(batch, run, .whole)
        let output = run.forward()
        for i in batch {
          decoder.begin()
          for step in 0..<output.steps where i < output.rows(at: step) {
            let place = output.first(step) + i
            if let mask = output.mask, mask[place] == 0 { continue }
            decoder.take(Floats(output.values + place * output.width), areLogits: areLogits)
          }
          answers.write(decoder, row: feed.row(i))
        }
      }
    }
  }
}

extension Model {
  /// Whether the outputs are probabilities by a softmax.
  var endsInSoftmax: Bool { (stages.last as? ActivationLayer).map { $0.activation == .softmax } ?? false }
}
