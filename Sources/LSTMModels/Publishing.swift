internal import LSTMKernels
internal import LSTMLayers
public import LSTMTensors
internal import Synchronization

/// New weights for a model that others read at the same time.
///
/// They are written where nobody reads, and then one store makes them those that the next call reads. What was read before
/// is written to again when the last call that began with it has ended; until then there is another place.
extension Model {
  public var isPublishing: Bool { PinnedWeights(word: current.load(ordering: .relaxed)).isCounted }

  /// Whether `publish` may be called. Nobody else may use the model meanwhile.
  public func setPublishing(_ wanted: Bool) throws(LSTMError) {
    let now = currentWeights
    if wanted {
      if slots.count == 1 { _ = try addSlot() }
    } else {
      slots[0] = now
      slots.removeLast(slots.count - 1)
    }
    current.store(PinnedWeights(now, isCounted: wanted).word, ordering: .sequentiallyConsistent)
  }

  /// Makes the weights of a model with the same parameters those of this one, which may be read meanwhile.
  public func publish(_ other: Model) throws(LSTMError) {
    guard isPublishing else {
      throw .argument("model: expected one to which may be published (lstm_set_publishing), got another")
    }
    guard owner.load(ordering: .acquiring) == .none else {
      throw .argument("model: expected one that is not being trained, got one that is")
    }
    try checkAlike(other, "from")
    guard !isTaken.exchange(true, ordering: .acquiring) else {
      throw .argument("model: expected one to which nobody publishes just now, got one to which another thread does")
    }
    defer { isTaken.store(false, ordering: .releasing) }
    let pinned = other.pin()
    defer { other.unpin(pinned) }
    let (new, now) = (pinned.weights, currentWeights)
    guard kernels.sumOfSquares(plan.count, new.parameters.floats).isFinite else {
      throw .diverged("from: expected finite weights, got a number that is not")
    }
    let slot = try freeSlot(now)
    copy(new, to: slot, areAlike: kernels.packsAlike(other.kernels))
    slot.version = now.version &+ 1
    backwardIsOld = true
    current.store(PinnedWeights(slot, isCounted: true).word, ordering: .sequentiallyConsistent)
  }

  /// One that nobody reads.
  private func freeSlot(_ now: Weights) throws(LSTMError) -> Weights {
    for slot in slots where slot !== now && slot.readers.load(ordering: .sequentiallyConsistent) == 0 { return slot }
    return try addSlot()
  }

  private func addSlot() throws(LSTMError) -> Weights {
    let slot = Weights(
      parameters: try Buffer.make(allocator, bytes: parameters.byteCount),
      packed: try Buffer.make(allocator, bytes: currentWeights.packed.byteCount))
    try Memory.append(slot, to: &slots)
    return slot
  }

  private func copy(_ new: Weights, to slot: Weights, areAlike: Bool) {
    slot.parameters.base.copyMemory(from: new.parameters.base, byteCount: slot.parameters.byteCount)
    if areAlike, new.packed.byteCount == slot.packed.byteCount {
      slot.packed.base.copyMemory(from: new.packed.base, byteCount: slot.packed.byteCount)
    } else {
      roundWeights(slot.parameters.floats)
      for i in 0..<stages.count { pack(slot, stage: i, .whole) }
    }
  }

  /// Throws what keeps another model's weights from being this one's.
  ///
  /// - Parameter name: what the caller calls the other.
  public func checkAlike(_ other: Model, _ name: StaticString) throws(LSTMError) {
    if other === self { return }
    let (entries, others) = (plan.entries, other.plan.entries)
    guard entries.count == others.count else {
      throw .argument("\(name): expected a model of \(entries.count) parameters, got one of \(others.count)")
    }
    for i in 0..<entries.count
    where !entries[i].name.utf8.elementsEqual(others[i].name.utf8) || entries[i].shape != others[i].shape {
      throw .argument(
        "\(name): expected parameter \(quoted(entries[i].name.utf8)) of shape \(entries[i].shape.text), got "
          + "\(quoted(others[i].name.utf8)) of shape \(others[i].shape.text)")
    }
    for (entry, otherEntry) in zip(ports.entries, other.ports.entries) {
      if let own = entry.textLayer?.vocabulary, let theirs = otherEntry.textLayer?.vocabulary, own.holdsSame(as: theirs)
      {
        continue
      }
      guard entry.textLayer?.vocabulary == nil, otherEntry.textLayer?.vocabulary == nil else {
        throw .argument("\(name): expected a model of the same vocabulary, got another one")
      }
    }
  }
}
