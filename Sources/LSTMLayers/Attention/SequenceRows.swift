internal import LSTMKernels
internal import LSTMTensors

/// The steps of a signal that are no padding, sequence by sequence: those that attention gathers, so that padding takes
/// part in nothing and costs nothing.
struct SequenceRows {
  /// Rows of the signal: those of the first sequence in their order, those of the next, and so on; from the end on, in
  /// front of one another, those of padding.
  private let places: UnsafeMutablePointer<Int>
  /// Which step of its sequence each of them is.
  private let steps: UnsafeMutablePointer<Int>
  /// Where each sequence begins among them, and last how many there are.
  let starts: UnsafeMutablePointer<Int>
  private let batch: Int

  /// Floats of memory.
  static func count(steps: Int, batch: Int) -> Int {
    let rows = Carver.product(steps, batch)
    return min(Size.limit, Carver.product(4, rows) + Carver.product(2, min(Size.limit, batch + 1)))
  }

  init(_ memory: MutableFloats, steps count: Int, batch: Int) {
    places = UnsafeMutableRawPointer(memory).assumingMemoryBound(to: Int.self)
    steps = places + count * batch
    starts = steps + count * batch
    self.batch = batch
  }

  /// Which step of its sequence number `i` of a sequence's valid ones is.
  func step(_ i: Int, of sequence: Int) -> Int { steps[starts[sequence] + i] }

  /// How many steps are no padding.
  var count: Int { starts[batch] }

  /// Finds the steps that are valid for both signals, which have the same rows.
  func find(_ x: Signal, _ other: Signal) {
    var (count, end) = (0, x.rows)
    for sequence in 0..<batch {
      starts[sequence] = count
      for step in 0..<x.steps {
        if sequence >= x.rows(at: step) { break }
        let place = x.first(step) + sequence
        if x.isValid(row: place), other.isValid(row: place) {
          (places[count], steps[count]) = (place, step)
          count += 1
        } else {
          end -= 1
          places[end] = place
        }
      }
    }
    starts[batch] = count
  }

  /// For each of these steps how many of the other sequence's are seen by it: all, or, `causal`, those that stand no later.
  func countSeen(_ others: SequenceRows, causal: Bool, into limits: UnsafeMutablePointer<Int>) {
    for sequence in 0..<batch {
      let end = others.starts[sequence + 1]
      var seen = causal ? others.starts[sequence] : end
      for i in starts[sequence]..<starts[sequence + 1] {
        while seen < end, others.steps[seen] <= steps[i] { seen += 1 }
        limits[i] = seen - others.starts[sequence]
      }
    }
  }

  /// Rows of numbers of these steps, one behind the other, from those of the signal: this worker's share.
  func gather(_ from: Floats, width: Int, into rows: MutableFloats, _ part: Part) {
    for i in part.range(of: count) { (rows + i * width).copy(from: from + places[i] * width, count: width) }
  }

  /// The reverse, into a signal of so many rows; padding becomes zero.
  func scatter(_ rows: Floats, width: Int, into to: MutableFloats, of total: Int, _ part: Part) {
    for i in part.range(of: count) { (to + places[i] * width).copy(from: rows + i * width, count: width) }
    for i in part.range(of: total - count) { (to + places[count + i] * width).clear(width) }
  }

  /// Adds them to what `scatter` has written, by the same workers.
  func add(_ rows: Floats, width: Int, to: MutableFloats, _ part: Part, _ kernels: Kernels) {
    for i in part.range(of: count) { kernels.add(width, rows + i * width, to: to + places[i] * width) }
  }
}

extension Signal {
  fileprivate func isValid(row: Int) -> Bool { mask.map { $0[row] != 0 } ?? true }
}

/// Numbers of all sequences, row by row, each sequence behind the one before it.
struct Sequences {
  let values: MutableFloats
  /// Numbers in a row.
  let width: Int
  let starts: UnsafePointer<Int>

  init(_ values: MutableFloats, width: Int, _ rows: SequenceRows) {
    (self.values, self.width, starts) = (values, width, UnsafePointer(rows.starts))
  }

  /// The rows of one sequence, from a column on.
  func matrix(_ sequence: Int, column: Int) -> Matrix {
    Matrix(
      at: values + starts[sequence] * width + column, rows: starts[sequence + 1] - starts[sequence], stride: width)
  }
}

/// Rows of numbers in memory, so many floats apart.
struct Matrix {
  let at: MutableFloats
  let rows: Int
  let stride: Int

  @inline(__always) func row(_ i: Int) -> MutableFloats { at + i * stride }

  /// o = start + s·x over some of these rows x: so many at once that they stay in the second-level cache for all of s, with
  /// the sums of one part going on in the next.
  ///
  /// - Parameter rows: of s and o.
  func sum(
    _ seen: Range<Int>, rows: Int, _ s: Floats, row sRow: Int, width: Int, into o: MutableFloats, oRow: Int,
    _ start: Start, _ kernels: Kernels
  ) {
    var (first, start) = (0, start)
    repeat {
      kernels.multiply(
        rows: rows, depth: min(256, seen.count - first), columns: width, s + first, aRow: sRow,
        row(seen.lowerBound + first), bRow: stride, into: o, cRow: oRow, start: start)
      (first, start) = (first + 256, .accumulate)
    } while first < seen.count
  }
}
