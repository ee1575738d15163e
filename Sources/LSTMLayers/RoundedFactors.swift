internal import CLSTMKernels
internal import LSTMKernels
internal import LSTMTensors

/// What 8-bit weights of a recurrent layer are multiplied with, rounded to bytes: the inputs of all steps, and the hidden
/// states before a step.
///
/// Hidden states that lie within ±1 all have the scale 1/127, and each worker rounds its own units. Others have a scale for
/// each row, so that a row is rounded by one worker when all its units are there.
struct RoundedFactors {
  private let inputs: RoundedRows
  /// The states that sequences begin with, and those after every other step.
  private let planes: (RoundedRows, RoundedRows, RoundedRows)
  private let kernels: Kernels
  private let units: Int
  private let ownUnits: Range<Int>
  private let areBounded: Bool

  private struct Plan {
    let inputs, inputScales, states, stateScales: Int
    let count: Int

    init(_ layer: RecurrentLayer, steps: Int, batch: Int) {
      var plan = Carver()
      inputs = plan.take(steps, batch, RoundedRows.count(width: layer.inputs))
      inputScales = plan.take(steps, batch)
      states = plan.take(3, batch, RoundedRows.count(width: layer.outputSize))
      stateScales = plan.take(3, batch)
      count = plan.count
    }
  }

  /// Floats of workspace.
  static func count(_ layer: RecurrentLayer, steps: Int, batch: Int, _ kernels: Kernels) -> Int {
    layer.packing(kernels) == .int8 ? Plan(layer, steps: steps, batch: batch).count : 0
  }

  /// nil: the layer's weights are none of 8 bits.
  init?(_ layer: RecurrentLayer, _ memory: MutableFloats, _ x: Signal, _ ownUnits: Range<Int>, _ kernels: Kernels) {
    guard layer.packing(kernels) == .int8 else { return nil }
    let plan = Plan(layer, steps: x.steps, batch: x.batch)
    inputs = RoundedRows(memory + plan.inputs, scales: memory + plan.inputScales, width: layer.inputs)
    func plane(_ i: Int) -> RoundedRows {
      RoundedRows(
        memory + plan.states + i * x.batch * RoundedRows.count(width: layer.outputSize),
        scales: memory + plan.stateScales + i * x.batch, width: layer.outputSize)
    }
    planes = (plane(0), plane(1), plane(2))
    (self.kernels, units, self.ownUnits, areBounded) = (kernels, layer.outputSize, ownUnits, layer.isBounded)
  }

  /// A worker's share of what is there before the first step: the inputs, and the state if it is not zero.
  func begin(_ x: Signal, state: Floats?, _ part: Part) {
    kernels.round(part.range(of: x.rows), width: x.width, x.values, xRow: x.width, to: inputs)
    if part.isFirst { planes.0.scales.update(repeating: areBounded ? 1 / 127 : 0, count: 3 * x.batch) }
    guard let state else {
      if part.isFirst { planes.0.bytes.update(repeating: 128, count: x.batch * planes.0.rowBytes) }
      return
    }
    if areBounded {
      kernels.round(rows: x.batch, columns: ownUnits, state, xRow: units, toUnit: planes.0)
    } else if part.isFirst {
      kernels.round(0..<x.batch, width: units, state, xRow: units, to: planes.0)
    }
  }

  /// Rounds the hidden states after a step, when this worker has made its own.
  func keep(_ hidden: Floats, row: Int, rows: Int, after step: Int, _ part: Part) {
    let plane = self.plane(before: step + 1)
    if areBounded {
      kernels.round(rows: rows, columns: ownUnits, hidden, xRow: row, toUnit: plane)
    } else {
      part.meet()
      kernels.round(part.range(of: rows), width: units, hidden, xRow: row, to: plane)
    }
  }

  private func plane(before step: Int) -> RoundedRows { step & 1 == 0 ? planes.1 : planes.2 }

  /// The inputs from a row of all timesteps on.
  func inputs(row: Int) -> lstm_bytes { inputs.from(row) }

  /// The hidden states of a step's rows, from `row` on, which begin there or have been there before.
  func hidden(before step: Int, row: Int, areNew: Bool) -> lstm_bytes {
    (areNew ? planes.0 : plane(before: step)).from(row)
  }
}
