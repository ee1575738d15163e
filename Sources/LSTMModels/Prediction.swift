internal import LSTMLayers
public import LSTMTensors

extension Model {
  /// The shape of the output for an array of samples.
  public func outputShape(for x: ArrayView) throws(LSTMError) -> Shape {
    try Feed(self, x, sameSteps: outputHasTime).outputShape()
  }

  /// Writes the outputs for all rows, row-major, `count` numbers: those of `outputShape(for:)`.
  public func predict(_ x: ArrayView, batchSize: Int, into y: UnsafeMutablePointer<Float>) throws(LSTMError) {
    let feed = try Feed(self, x, sameSteps: outputHasTime)
    let run = try Run.make(self, .predict)
    // Nothing may be written before the last thing that can fail, so bad input in a late row is looked for first. Numbers
    // cannot be bad, and the memory for their first batch does for all.
    if feed.mayRefuseRows, x.rows > batchSize {
      for first in stride(from: 0, to: x.rows, by: batchSize) {
        try feed.load(Rows(first: first, count: min(batchSize, x.rows - first)), into: run, requiresFinite: false)
      }
    }
    var out = y
    for first in stride(from: 0, to: x.rows, by: batchSize) {
      try feed.load(Rows(first: first, count: min(batchSize, x.rows - first)), into: run, requiresFinite: false)
      if first == 0 { try Memory.check() }
      if !outputHasTime { run.trim() }
      out = copyOut(run.forward(), to: out)
    }
  }

  /// From time-first to row-major.
  private func copyOut(_ signal: Signal, to out: UnsafeMutablePointer<Float>) -> UnsafeMutablePointer<Float> {
    var out = out
    for row in 0..<signal.batch {
      for step in 0..<signal.steps {
        out.update(from: signal.values + (step * signal.batch + row) * signal.width, count: signal.width)
        out += signal.width
      }
    }
    return out
  }
}
