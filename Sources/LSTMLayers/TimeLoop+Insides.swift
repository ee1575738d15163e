internal import LSTMKernels
internal import LSTMTensors

/// What was inside of a layer, timestep by timestep of its input.
extension TimeLoop {
  /// - Parameter sample: where `[timesteps, outputSize]` of a row go.
  func writeHidden(to sample: (Int) -> MutableFloats) {
    let size = layer.outputSize
    x.forEachValid { (t, row, _) in
      (sample(row) + t * size).copy(from: hidden + (hiddenRows(timestep(t)) + row) * hiddenRow, count: size)
    }
  }

  /// - Parameter sample: where `[timesteps, units]` of a row go.
  func writeMemory(to sample: (Int) -> MutableFloats) {
    let (lanes, memory) = (kernels.lanes, pass.workspace + plan.memory)
    x.forEachValid { (t, row, _) in
      for block in 0..<layer.blockCount(kernels) {
        let from = memory + ((timestep(t) + 1) * layer.blockCount(kernels) + block) * x.batch * lanes + row * lanes
        (sample(row) + t * layer.units + block * lanes).copy(from: from, count: units(of: block))
      }
    }
  }

  /// - Parameter sample: where `[timesteps, gates, units]` of a row go.
  func writeGates(to sample: (Int) -> MutableFloats) {
    let (lanes, units) = (kernels.lanes, layer.units)
    x.forEachValid { (t, row, place) in
      for block in 0..<layer.blockCount(kernels) {
        let kept = pass.workspace + plan.gates + (block * x.rows + place) * width
        let to = sample(row) + t * layer.cell.shownGates * units + block * lanes
        layer.cell.writeGates(kept, count: self.units(of: block), to: to, units: units, kernels)
      }
    }
  }

  private func units(of block: Int) -> Int { min(kernels.lanes, layer.units - block * kernels.lanes) }
}
