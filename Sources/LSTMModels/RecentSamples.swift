public import LSTMKernels
public import LSTMTensors

/// The last samples of a stream, always in one piece.
public final class RecentSamples {
  /// Each sample twice, `limit` places apart: wherever the last one stands, those before it are there too.
  private let memory: Buffer
  private let limit: Int
  private let width: Int
  public private(set) var count = 0
  /// The place of the next one, of the first `limit`.
  private var next = 0

  private init(_ memory: Buffer, limit: Int, width: Int) {
    (self.memory, self.limit, self.width) = (memory, limit, width)
  }

  static func make(_ allocator: Allocator, _ limit: Int, width: Int) throws(LSTMError) -> RecentSamples {
    let count = try Size.product(try Size.product(2, limit), width)
    return RecentSamples(try Buffer.make(allocator, count, of: Float.self), limit: limit, width: width)
  }

  /// Takes `steps` samples, of which the last `limit` stay.
  func append(_ steps: Int, _ x: Floats) {
    for t in max(0, steps - limit)..<steps {
      let place = memory.floats + next * width
      place.copy(from: x + t * width, count: width)
      (place + limit * width).copy(from: x + t * width, count: width)
      next = next + 1 == limit ? 0 : next + 1
      count = min(count + 1, limit)
    }
  }

  func removeAll() { count = 0 }

  /// The first of them, `[count, width]`; valid until the next comes.
  public var start: Floats { Floats(memory.floats + (next + limit - count) * width) }
}
