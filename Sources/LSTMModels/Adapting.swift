internal import LSTMLayers
public import LSTMTensors

extension Model {
  /// Learns what is learned from data without gradients: the vocabulary of a text layer, and what layers with an `Adapter`
  /// learn, each from the outputs of those before it. After an error nothing has changed.
  public func adapt(_ xs: Arrays) throws(LSTMError) {
    try checkTrainable()
    let x = xs[0]
    if x.rows == 0 { throw .argument("\(x.name).shape: expected at least one sample, got \(x.shape.text)") }
    let feed = try Feed.make(self, xs, sameSteps: false)
    // What there was, in case of an error after a layer has learned.
    var vocabularies: [Vocabulary?] = []
    for entry in ports.entries { try Memory.append(entry.textLayer?.vocabulary, to: &vocabularies) }
    let before = try Buffer.make(allocator, bytes: parameters.byteCount)
    before.base.copyMemory(from: parameters.base, byteCount: parameters.byteCount)
    do {
      for (i, entry) in ports.entries.enumerated() {
        guard let text = entry.textLayer else { continue }
        text.vocabulary = try text.learn(xs[i], limit: embedding(of: entry)?.vocabulary ?? Int(Int32.max))
      }
      try Memory.check()
      for i in 0..<stages.count {
        guard let adapter = try stages[i].makeAdapter() else { continue }
        try learn(adapter, stage: i, feed, rows: x.rows)
      }
    } catch {
      for (i, entry) in ports.entries.enumerated() { entry.textLayer?.vocabulary = vocabularies[i] }
      parameters.base.copyMemory(from: before.base, byteCount: parameters.byteCount)
      repack()
      throw error
    }
  }

  private func learn(_ adapter: Adapter, stage: Int, _ feed: Feed, rows: Int) throws(LSTMError) {
    let run = try Run.make(self, .predict)
    let batch = 32
    for first in stride(from: 0, to: rows, by: batch) {
      let count = min(batch, rows - first)
      try feed.begin(Rows(first: first, count: count))
      try feed.load(0..<count, into: run)
      if !feed.fill(0..<count, run, .whole) { try feed.checkFinite(0..<count, run) }
      run.layOut()
      run.forward(to: stage)
      adapter.accumulate(run.input(of: stage))
    }
    try Memory.check()
    adapter.finish(parameters.floats)
    repack()
  }
}
