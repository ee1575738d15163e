internal import LSTMKernels
internal import LSTMTensors

/// The steps of each row of a signal that are no padding. A layer that reads several steps at once goes by them, as if the
/// others were not there: so a row gives what it would give alone, wherever its padding stands.
struct ValidSteps {
  private let x: Signal
  /// How many each row has, then their places among the rows of all steps, `[batch, steps]`.
  private let memory: UnsafeMutablePointer<Int32>

  /// - Parameter memory: `ValidSteps.count` floats.
  init(_ x: Signal, _ memory: MutableFloats) {
    self.x = x
    self.memory = UnsafeMutableRawPointer(memory).assumingMemoryBound(to: Int32.self)
  }

  /// Floats of memory.
  static func count(steps: Int, batch: Int) -> Int { Carver.product(steps + 1, batch) }

  /// Whether no row has padding; then nothing need be found.
  var isWhole: Bool { x.mask == nil && x.starts == nil }

  /// Finds those of some rows.
  func find(_ rows: Range<Int>) {
    if isWhole { return }
    for row in rows {
      let places = memory + x.batch + row * x.steps
      var found = 0
      for step in 0..<x.steps where row < x.rows(at: step) {
        let place = x.first(step) + row
        if let mask = x.mask, mask[place] == 0 { continue }
        places[found] = Int32(truncatingIfNeeded: place)
        found += 1
      }
      memory[row] = Int32(truncatingIfNeeded: found)
    }
  }

  /// How many a row has.
  func count(_ row: Int) -> Int { isWhole ? x.steps : Int(memory[row]) }

  /// The place of the `i`th of a row, among the rows of all steps.
  @inline(__always) func place(_ row: Int, _ i: Int) -> Int {
    isWhole ? i * x.batch + row : Int(memory[x.batch + row * x.steps + i])
  }

  /// How many a row has, before they are found.
  static func count(of x: Signal, _ row: Int) -> Int {
    guard let mask = x.mask else { return x.steps }
    var count = 0
    for step in 0..<x.steps { count += mask[x.first(step) + row] == 0 ? 0 : 1 }
    return count
  }

  /// The mask of an output that has `outputs` steps for a row with so many valid ones, all of them at the beginning.
  static func mask(
    of x: Signal, steps: Int, _ memory: UnsafeMutablePointer<UInt8>, _ outputs: (Int) -> Int
  ) -> UnsafePointer<UInt8>? {
    if x.mask == nil { return nil }
    for row in 0..<x.batch {
      let own = outputs(count(of: x, row))
      for step in 0..<steps { memory[step * x.batch + row] = step < own ? 1 : 0 }
    }
    return UnsafePointer(memory)
  }
}

/// Clears the rows of a signal that are padding.
func clearPadding(_ values: MutableFloats, width: Int, _ mask: UnsafePointer<UInt8>?, _ rows: Range<Int>) {
  guard let mask else { return }
  for row in rows where mask[row] == 0 { (values + row * width).clear(width) }
}

/// The number of steps that a stream has seen, in two numbers of its state: one float alone would stand still at 2^24.
struct StepCount {
  static var piece: StatePiece { StatePiece(blocks: 1, lanes: 2, meaningful: 2) }
  private static let limit = 1 << 20

  private let at: MutableFloats

  init(_ at: MutableFloats) { self.at = at }

  /// Whatever numbers a state is restored from, a count.
  var value: Int { whole(at[1]) * StepCount.limit + whole(at[0]) }

  private func whole(_ x: Float) -> Int { x > 0 ? Int(min(x, Float(StepCount.limit - 1))) : 0 }

  func increment() {
    let next = value + 1
    (at[0], at[1]) = (Float(next % StepCount.limit), Float(next / StepCount.limit))
  }
}
