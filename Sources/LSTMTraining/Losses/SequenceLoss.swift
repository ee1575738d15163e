internal import LSTMDescription
internal import LSTMKernels
internal import LSTMLayers
internal import LSTMModels
internal import LSTMTensors

/// A loss of a row's whole sequence, where others have one for each element: the batch's loss is the mean over its rows.
///
/// Padding is as if it were not there: a loss sees the steps of a row that count, one behind the other. A row without any
/// does not count in the mean.
class SequenceLoss: Loss {
  /// What the targets of a row are.
  enum RowTargets {
    /// As many labels as there are, of which none is the blank.
    case labels(LabelRules)
    /// A tag for each step, by a chain.
    case tags
  }

  let rowTargets: RowTargets

  init(_ fields: Fields, _ traits: LossTraits, _ rowTargets: RowTargets) {
    self.rowTargets = rowTargets
    super.init(fields, traits)
  }

  /// Floats of memory to evaluate one row in.
  ///
  /// - Parameter labels: at most.
  func memoryCount(steps: Int, labels: Int, width: Int) -> Int { 0 }

  /// The loss of a row, and its gradient if there is room for it: every number of the steps that count is written.
  ///
  /// - Returns: not a finite number when an output that counts is none.
  func evaluate(_ row: SequenceRow) -> Double { preconditionFailure("a loss without an equation") }
}

/// How the labels of a row are written.
struct LabelRules: BitwiseCopyable {
  /// The class that is no label.
  let blank: Int
  /// Rows with more labels than their steps can hold are passed over, not refused.
  let passesImpossible: Bool
}

/// One row's outputs and targets.
struct SequenceRow {
  /// Of step t they begin at `places[t] · width`.
  let outputs: Floats
  let places: UnsafePointer<Int>
  /// Those that count; at least one.
  let steps: Int
  let width: Int
  /// Of a chain a tag for each step.
  let labels: UnsafePointer<Int32>
  let labelCount: Int
  let chain: ChainTargets.Row?
  let weight: Double
  /// As the outputs, to be written: weight · dLoss/dOutput.
  let gradient: MutableFloats?
  let areLogits: Bool
  let kernels: Kernels
  /// As much as `memoryCount` says, at a multiple of 64 bytes.
  let memory: MutableFloats

  @inline(__always) func outputs(_ step: Int) -> Floats { outputs + places[step] * width }
  @inline(__always) func gradient(_ step: Int) -> MutableFloats? { gradient.map { $0 + places[step] * width } }
}

/// The labels of the rows of a part of a batch.
final class LabelTargets {
  let rules: LabelRules
  private var memory: Buffer?
  /// Labels that a row has at most.
  private(set) var room = 0

  init(_ rules: LabelRules) { self.rules = rules }

  func prepare(rows: Int, room: Int) throws(LSTMError) {
    let needed = try Size.product(rows, try Size.sum(room, 1))
    if (memory?.byteCount ?? 0) / MemoryLayout<Int32>.stride < needed {
      memory = nil
      memory = try Buffer.make(.system, needed, of: Int32.self)
    }
    self.room = room
  }

  private func place(_ row: Int) -> UnsafeMutablePointer<Int32> {
    (memory?.pointer(to: Int32.self) ?? UnsafeMutablePointer(bitPattern: 64)!) + row * (room + 1)
  }

  func labels(_ row: Int) -> UnsafeMutablePointer<Int32> { place(row) + 1 }
  func count(_ row: Int) -> Int { Int(place(row).pointee) }
  func setCount(_ row: Int, _ count: Int) { place(row).pointee = Int32(count) }
}

extension BatchTargets {
  /// Computes the losses of rows, and the gradient of the outputs unless it is nil: one worker's share.
  ///
  /// - Parameter memory: that of the worker, for one row.
  func evaluate(
    _ loss: SequenceLoss, _ goal: Goal, _ output: Signal, gradient: MutableFloats?, _ kernels: Kernels,
    _ memory: MutableFloats, _ part: Part
  ) {
    let room = BatchTargets.carve(output.steps)
    let places = UnsafeMutableRawPointer(memory).assumingMemoryBound(to: Int.self)
    let tags = UnsafeMutableRawPointer(memory + room.tags).assumingMemoryBound(to: Int32.self)
    let width = output.width
    for i in part.range(of: output.batch) {
      for step in 0..<output.steps where i < output.rows(at: step) {
        let place = output.first(step) + i
        if mask[place] == 0 { gradient.map { $0 + place * width }?.clear(width) }
      }
      let steps = output.validPlaces(i, into: places)
      let weight = Double(weights[i])
      let own = chain?.row(i)
      if weight == 0 {
        for step in 0..<steps { gradient.map { $0 + places[step] * width }?.clear(width) }
        losses[i] = 0
        continue
      }
      if own != nil { for step in 0..<steps { tags[step] = classes[places[step]] } }
      let row = SequenceRow(
        outputs: Floats(output.values), places: places, steps: steps, width: width,
        labels: labels?.labels(i) ?? tags, labelCount: labels?.count(i) ?? steps, chain: own,
        weight: weight * Double(goal.weight), gradient: gradient,
        areLogits: goal.isFused || loss.traits.readsLogits, kernels: kernels, memory: memory + room.count)
      losses[i] = weight * loss.evaluate(row)
    }
  }

  /// Floats of memory that a worker needs for a row.
  func memoryCount(_ loss: SequenceLoss, _ output: Signal) -> Int {
    min(
      Size.limit,
      BatchTargets.carve(output.steps).count
        + loss.memoryCount(steps: output.steps, labels: labels?.room ?? 0, width: output.width))
  }

  private static func carve(_ steps: Int) -> (tags: Int, count: Int) {
    var plan = Carver()
    _ = plan.take(2, steps)
    let tags = plan.take(steps)
    return (tags, plan.count)
  }
}

extension TargetReader {
  /// The same for a loss of rows; how many of them count.
  func load(
    _ rows: Rows, _ loss: SequenceLoss, for output: Signal, into targets: BatchTargets
  ) throws(LSTMError) -> Int {
    switch loss.rowTargets {
    case .labels(let rules):
      try targets.prepare(elements: output.rows, targetWidth: 0, width: output.width, sums: rows.count)
      let labels = targets.labels ?? LabelTargets(rules)
      try labels.prepare(rows: rows.count, room: y.shape[1])
      targets.labels = labels
    case .tags:
      try targets.prepare(elements: output.rows, targetWidth: 1, width: output.width, sums: rows.count)
    }
    var counted = 0
    for i in 0..<rows.count {
      var steps = 0
      for step in 0..<output.steps where i < output.rows(at: step) {
        let place = output.first(step) + i
        let isValid = output.mask.map { $0[place] != 0 } ?? true
        targets.mask[place] = isValid ? 1 : 0
        guard isValid else { continue }
        steps += 1
        if loss.readsChain { try loadTarget(row: rows[i], step: step, element: place, targets) }
      }
      targets.weights[i] = 0
      if let labels = targets.labels { try read(labels, i, row: rows[i], steps: steps) }
      if steps == 0 { continue }
      targets.weights[i] = Float(try weight(of: rows[i], step: 0))
      counted += 1
    }
    return counted
  }

  /// Reads and checks the labels of a row.
  private func read(_ labels: LabelTargets, _ i: Int, row: Int, steps: Int) throws(LSTMError) {
    let (to, rules) = (labels.labels(i), labels.rules)
    labels.setCount(i, 0)
    if steps == 0 { return }
    let range = TargetRange.classes(targetWidth)
    var (count, repeats, hasEnded) = (0, 0, false)
    for j in 0..<y.shape[1] {
      if y.isPadded, !y.isValid(row: row, step: j) { continue }
      let number = y.number(row: row, offset: j &* y.strides[1])
      if !y.isPadded, number == Double(rules.blank) || number == -1 {
        hasEnded = true
        continue
      }
      guard !hasEnded else {
        throw .argument(
          "\(y.name)\(TargetReader.place(row, j)): expected padding (\(rules.blank), the blank, or -1) after padding"
            + ", got \(number)")
      }
      guard range.accepts(number), number != Double(rules.blank) else {
        throw .argument(
          "\(y.name)\(TargetReader.place(row, j)): expected \(range.spoken) but \(rules.blank), the blank"
            + ", got \(number)")
      }
      to[count] = Int32(number)
      if count > 0, to[count] == to[count - 1] { repeats += 1 }
      count += 1
    }
    // Between two labels of one kind stands a blank.
    guard count + repeats <= steps || rules.passesImpossible else {
      throw .argument(
        "\(y.name)\(TargetReader.place(row, nil)): expected labels for which \(steps) timesteps are enough"
          + ", got \(count), of which \(repeats) repeat the one before (zero_infinity passes over such rows)")
    }
    labels.setCount(i, count)
  }
}
