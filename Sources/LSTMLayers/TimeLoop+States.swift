internal import LSTMKernels
internal import LSTMTensors

/// What sequences begin with, and what dropout leaves of the hidden states.
extension TimeLoop {
  /// Whether nothing else has been learned or is given.
  var beginsWithZeros: Bool { given.hidden == nil && layer.parameter(.initialHidden) == nil }

  /// What sequences begin with: zeros, what has been learned, or what other layers give or chunks before have left.
  func fillStart() {
    start.clear(x.batch * hiddenRow)
    if let hidden = given.hidden {
      for row in 0..<x.batch {
        (start + row * hiddenRow).copy(from: hidden + row * layer.outputSize, count: layer.outputSize)
      }
      return
    }
    guard let learned = layer.parameter(.initialHidden) else { return }
    for row in 0..<x.batch {
      (start + row * hiddenRow).copy(from: pass.weights + learned.offset, count: layer.outputSize)
    }
  }

  func fillMemory(_ ownMemory: MutableFloats) {
    let (lanes, rows) = (kernels.lanes, x.batch)
    ownMemory.clear(ownBlocks.count * lanes * rows)
    if let memory = given.memory {
      // As the states of streams have it, or as other layers do.
      let row = pass.carried == nil ? layer.units : padded
      return copyMemory(0..<rows, ownMemory, MutableFloats(mutating: memory), row, toBlocks: true)
    }
    guard let learned = layer.parameter(.initialMemory) else { return }
    for (i, block) in ownBlocks.enumerated() {
      for row in 0..<rows {
        (ownMemory + (i * rows + row) * lanes).copy(
          from: pass.weights + learned.offset + block * lanes, count: min(lanes, layer.units - block * lanes))
      }
    }
  }

  /// Leaves the states of rows that end to whom they are wanted by.
  func keepStates(_ hidden: Floats, _ ownMemory: MutableFloats, _ rows: Range<Int>) {
    if let last = pass.carried?.to {
      copyOwn(hidden, hiddenRow, rows, to: last)
      if layer.cell.hasMemory { copyMemory(rows, ownMemory, last + memoryPlace, padded, toBlocks: false) }
    }
    if let last = pass.states.0 { copyOwn(hidden, hiddenRow, rows, to: last) }
    if let last = pass.states.1 { copyMemory(rows, ownMemory, last, layer.units, toBlocks: false) }
  }

  /// Copies this worker's units of some rows between memory in blocks and rows that begin `plainRow` floats apart.
  func copyMemory(
    _ rows: Range<Int>, _ blocks: MutableFloats, _ plain: MutableFloats, _ plainRow: Int, toBlocks: Bool
  ) {
    let lanes = kernels.lanes
    for (i, block) in ownBlocks.enumerated() {
      let count = min(lanes, layer.units - block * lanes)
      for row in rows {
        let (one, other) = (blocks + (i * x.batch + row) * lanes, plain + row * plainRow + block * lanes)
        if toBlocks { one.copy(from: other, count: count) } else { other.copy(from: one, count: count) }
      }
    }
  }

  /// The hidden states that the products read, `[timestep][row]`, where they are not the whole ones.
  var dropped: MutableFloats? {
    pass.mode == .train && layer.recurrentDropout > 0 ? pass.workspace + plan.dropped : nil
  }
  /// What they are multiplied with, `[batch, outputSize]`: the same at all steps.
  var recurrentFactors: MutableFloats { pass.workspace + plan.recurrentFactors }

  /// The dropped states of the rows that begin.
  func dropStart(_ random: inout RandomSequence) {
    guard dropped != nil else { return }
    drawDropout(recurrentFactors, count: x.batch * layer.outputSize, rate: layer.recurrentDropout, &random)
    for s in 0..<x.steps {
      let t = timestep(s)
      before(s) { before in if before.areNew { drop(start, before.rows, 0..<layer.outputSize, before: t) } }
    }
  }

  /// Drops of the states after a step this worker's units, for those rows that go on.
  func drop(_ states: Floats, rows: Int, before t: Int) {
    if dropped != nil { drop(states, 0..<min(rows, x.rows(at: t)), ownOutputs, before: t) }
  }

  private func drop(_ states: Floats, _ rows: Range<Int>, _ columns: Range<Int>, before t: Int) {
    guard let dropped else { return }
    for row in rows {
      kernels.multiply(
        columns.count, states + row * hiddenRow + columns.lowerBound,
        recurrentFactors + row * layer.outputSize + columns.lowerBound,
        dropped + (x.first(t) + row) * hiddenRow + columns.lowerBound)
    }
  }

  /// Adds to the gradient of the hidden state what reaches it through the products of timestep t that feed some vectors:
  /// this worker's units.
  func addHiddenGradient(_ t: Int, through vectors: RecurrentCell.Feed, weightVectors: Int? = nil) {
    guard let weights = pass.packedBackward else { return }
    let (rows, outputs) = (x.rows(at: t), layer.outputSize)
    let isDropping = dropped != nil
    let sums = isDropping ? pass.workspace + plan.dDropped : dHidden
    multiplyGates(
      plan.hiddenGates, ownOutputPanels, rows: rows, first: x.first(t), vectors: vectors, weights,
      weightVectors: weightVectors,
      layer.plainPanels(outputs, kernels), into: sums, isDropping ? .zero : .accumulate)
    for row in 0..<rows where isDropping {
      let at = row * outputs + ownOutputs.lowerBound
      kernels.multiply(ownOutputs.count, sums + at, recurrentFactors + at, sums + at)
      kernels.add(ownOutputs.count, sums + at, to: dHidden + at)
    }
  }

  /// The gradient of what all sequences begin with: what is left of those of the states when the first step's is added.
  func accumulateStart(_ gradients: MutableFloats) {
    guard given.hidden == nil, let hidden = layer.parameter(.initialHidden) else { return }
    pass.part.meet()
    layer.addHiddenGradient(self, timestep(0))
    kernels.addColumnSums(
      rows: x.batch, width: ownOutputs.count, dHidden + ownOutputs.lowerBound, rowStride: layer.outputSize,
      to: gradients + hidden.offset + ownOutputs.lowerBound)
    guard let memory = layer.parameter(.initialMemory) else { return }
    let lanes = kernels.lanes
    for (i, block) in ownBlocks.enumerated() {
      kernels.addColumnSums(
        rows: x.batch, width: min(lanes, layer.units - block * lanes), ownDMemory + i * lanes * x.batch,
        rowStride: lanes, to: gradients + memory.offset + block * lanes)
    }
  }

  /// After `backward`: writes the gradients with respect to the states that are given.
  func startGradient(hidden: MutableFloats?, memory: MutableFloats?) {
    if hidden == nil, memory == nil { return }
    pass.part.meet()
    layer.addHiddenGradient(self, timestep(0))
    if let hidden { copyOwn(dHidden, layer.outputSize, 0..<x.batch, to: hidden) }
    if let memory { copyMemory(0..<x.batch, ownDMemory, memory, layer.units, toBlocks: false) }
  }
}
