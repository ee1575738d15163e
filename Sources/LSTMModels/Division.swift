internal import LSTMTensors

/// How the rows of a batch are divided: a matter of the model and the batch alone, never of the number of workers, so that
/// results do not depend on it.
///
/// A small model's batch is divided into parts that go through the whole model by themselves, on whatever worker is free:
/// nobody waits for anybody, and what a part needs stays in a core's own cache. For a large model reading the weights once
/// for each part would cost more than waiting for one another: all workers take the whole batch, each some of the units.
public struct Division {
  /// Of each part but the last.
  public let rows: Int
  public let parts: Int
  /// Whether all workers make each part together.
  public let isTogether: Bool

  /// - Parameter training: a batch that some layers need as a whole is not divided.
  public init(_ model: Model, rows: Int, training: Bool = false) {
    let bytes = model.packedByteCount
    var most = rows
    if bytes <= 512 << 10 {
      most = rows <= 32 ? 8 : 16
    } else if bytes <= 3 << 20 {
      most = 16
    }
    if training, model.trainsTogether { most = rows }
    isTogether = rows <= most
    self.rows = max(1, min(rows, most))
    parts = (rows + self.rows - 1) / self.rows
  }

  public func range(_ part: Int, of rows: Int) -> Range<Int> {
    part * self.rows..<min(rows, (part + 1) * self.rows)
  }
}
