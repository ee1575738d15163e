internal import CLSTMKernels
internal import LSTMKernels
internal import LSTMTensors

/// What 8-bit weights of a recurrent layer are multiplied with, rounded to bytes: the inputs of all steps, and the hidden
/// states before a step.
///
/// Hidden states that lie within ±1 all have the scale 1/127, and each worker rounds its own units. Others have a scale for
/// each row, so that a row is rounded by one worker when all its units are there.
struct RoundedFactors {
  private let loop: TimeLoop
  private let ownUnits: Range<Int>
  private let inputs: RoundedRows
  /// The states that sequences begin with, and those after every other step.
  private let planes: (RoundedRows, RoundedRows, RoundedRows)

  private struct Plan {
    let inputs, inputScales, states, stateScales: Int
    let count: Int

    init(_ layer: RecurrentLayer, steps: Int, batch: Int) {
      var plan = Carver()
      inputs = plan.take(steps, batch, RoundedRows.count(width: layer.inputs))
      inputScales = plan.take(steps, batch)
      states = plan.take(3, batch, RoundedRows.count(width: layer.units))
      stateScales = plan.take(3, batch)
      count = plan.count
    }
  }

  /// Floats of workspace.
  static func count(_ layer: RecurrentLayer, steps: Int, batch: Int, _ kernels: Kernels) -> Int {
    layer.packing(kernels) == .int8 ? Plan(layer, steps: steps, batch: batch).count : 0
  }

  init(_ loop: TimeLoop, _ ownUnits: Range<Int>) {
    (self.loop, self.ownUnits) = (loop, ownUnits)
    let (layer, batch) = (loop.layer, loop.x.batch)
    let plan = Plan(layer, steps: loop.x.steps, batch: batch)
    let memory = loop.pass.workspace + loop.plan.rounded
    inputs = RoundedRows(memory + plan.inputs, scales: memory + plan.inputScales, width: layer.inputs)
    func plane(_ i: Int) -> RoundedRows {
      RoundedRows(
        memory + plan.states + i * batch * RoundedRows.count(width: layer.units),
        scales: memory + plan.stateScales + i * batch, width: layer.units)
    }
    planes = (plane(0), plane(1), plane(2))
  }

  private var part: Part { loop.pass.part }
  private var batch: Int { loop.x.batch }

  /// This worker's share of what is there before the first step.
  func begin() {
    let x = loop.x
    loop.kernels.round(part.range(of: x.rows), width: loop.layer.inputs, x.values, xRow: loop.layer.inputs, to: inputs)
    if part.isFirst { planes.0.scales.update(repeating: loop.layer.cell.isBounded ? 1 / 127 : 0, count: 3 * batch) }
    let units = loop.layer.units
    if let state = loop.pass.state {
      if loop.layer.cell.isBounded {
        loop.kernels.round(rows: batch, columns: ownUnits, state, xRow: units, toUnit: planes.0)
      } else if part.isFirst {
        loop.kernels.round(0..<batch, width: units, state, xRow: units, to: planes.0)
      }
    } else if part.isFirst {
      planes.0.bytes.update(repeating: 128, count: batch * planes.0.rowBytes)
    }
  }

  /// Rounds the hidden states after a step, when this worker has made its own.
  func keep(_ hidden: Floats, row: Int, rows: Int, after step: Int) {
    let plane = self.plane(before: step + 1)
    if loop.layer.cell.isBounded {
      loop.kernels.round(rows: rows, columns: ownUnits, hidden, xRow: row, toUnit: plane)
    } else {
      part.meet()
      loop.kernels.round(part.range(of: rows), width: loop.layer.units, hidden, xRow: row, to: plane)
    }
  }

  private func plane(before step: Int) -> RoundedRows { step & 1 == 0 ? planes.1 : planes.2 }

  /// The inputs from a row of all timesteps on.
  func inputs(row: Int) -> lstm_bytes { inputs.from(row) }

  /// The hidden states of a step's rows, from `row` on, which begin there or have been there before.
  func hidden(before step: Int, row: Int, isNew: Bool) -> lstm_bytes {
    (isNew ? planes.0 : plane(before: step)).from(row)
  }
}
