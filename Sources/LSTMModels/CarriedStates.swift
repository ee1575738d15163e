internal import LSTMKernels
internal import LSTMLayers
public import LSTMTensors

/// The states of the rows of a batch whose sequences come in chunks, from the end of one to the beginning of the next.
///
/// Use, for each chunk: `begin`, `load` for each part of the batch, the passes, and `keep` when the chunk is to count.
public final class CarriedStates {
  private let model: Model
  private let layout: StateLayout
  /// `[rows][layout.count]`, each as the state of a stream.
  private var kept: Buffer?
  /// Those that the parts of the batch begin with, rows together, then those that they end with.
  private var joint: Buffer?
  private var rows = 0
  /// Whether sequences begin with the next chunk.
  private var areNew = true
  // Of the chunk at work: where the states of its rows are kept, in its order, and its parts.
  private let places = List<MutableFloats>()
  private let parts = List<Piece>()

  /// Rows of the batch that are together.
  private struct Piece: BitwiseCopyable {
    let first: Int
    let rows: Int
  }

  private init(_ model: Model, _ layout: StateLayout) { (self.model, self.layout) = (model, layout) }

  /// Throws what keeps the states of a model from being carried.
  public static func make(_ model: Model) throws(LSTMError) -> CarriedStates {
    for i in 0..<model.stages.count {
      let stage = model.stages[i]
      if let reason = stage.needsFuture {
        throw .unsupported("carried states: layer \"\(stage.name)\" needs the whole sequence at once (\(reason))")
      }
      if model.takesOrGivesStates(i) {
        throw .unsupported(
          "carried states: expected no states that go from layer to layer, got those of \"\(stage.name)\"")
      }
      if !stage.canCarry, !stage.statePieces(model.kernels).isEmpty {
        throw .unsupported(
          "carried states: layer \"\(stage.name)\" looks back at timesteps that are not carried to the next chunk")
      }
    }
    return CarriedStates(model, try StateLayout.make(model))
  }

  /// From the next chunk on other sequences begin.
  public func reset() { areNew = true }

  /// Makes ready for a chunk of so many rows.
  public func begin(rows: Int) throws(LSTMError) {
    parts.removeAll()
    if areNew, rows != self.rows || kept == nil {
      (kept, joint, self.rows) = (nil, nil, 0)
      let count = try Size.product(rows, layout.count)
      joint = try Buffer.make(model.allocator, try Size.product(2, count), of: Float.self)
      kept = try Buffer.make(model.allocator, count, of: Float.self)
      self.rows = rows
    }
    guard rows == self.rows else {
      throw .argument(
        "x: expected \(self.rows) samples, whose states are carried from the step before, got \(rows): other sequences "
          + "begin after lstm_trainer_reset_state")
    }
    places.removeAll()
    let places = try places.extend(by: rows)
    for row in 0..<rows { places[row] = state(row) }
  }

  private func state(_ row: Int) -> MutableFloats { (kept ?? layout.places).floats + row * layout.count }
  private func begins(_ part: Piece) -> MutableFloats {
    (joint ?? layout.places).floats + part.first * layout.count
  }
  private func ends(_ part: Piece) -> MutableFloats { begins(part) + rows * layout.count }

  /// Gives a part of the feed's batch its states to begin with, in a run that is ready for it.
  public func load(_ range: Range<Int>, of feed: Feed, into run: Run) throws(LSTMError) {
    let part = Piece(first: range.lowerBound, rows: range.count)
    try parts.append(part)
    for i in range { places[i] = state(feed.place(i)) }
    if !areNew {
      layout.copy(UnsafePointer(places.start) + part.first, rows: part.rows, begins(part), toAll: true)
    }
    run.carried = (
      Carried(from: areNew ? nil : Floats(begins(part)), to: ends(part)),
      UnsafePointer(layout.places.pointer(to: Int.self))
    )
  }

  /// After the passes: the next chunk goes on where this one has ended.
  public func keep() {
    for part in parts.elements {
      layout.copy(UnsafePointer(places.start) + part.first, rows: part.rows, ends(part), toAll: false)
    }
    areNew = false
  }
}
