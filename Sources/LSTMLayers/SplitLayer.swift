internal import CLSTMKernels
internal import LSTMKernels
internal import LSTMTensors

/// A recurrent layer whose step is not one fused kernel: first all the sums of products go to what the cell keeps, then the
/// cell's equations are applied to them.
final class SplitLayer: RecurrentLayer {
  override var isFused: Bool { false }

  /// The sums of one step, where the cell keeps none.
  override func extraCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    mode == .train ? 0 : Carver.product(batch, Carver.product(blockCount(kernels), gatesWidth(kernels)))
  }

  override func advance(_ step: inout lstm_cell_forward, _ loop: TimeLoop, row: Int) {
    var one = step
    if one.gates == nil {
      one.gates_block = loop.width * one.rows
      one.gates = loop.pass.workspace + loop.plan.extra + loop.ownBlocks.lowerBound * one.gates_block
    }
    makeSums(one, loop)
    cell.forward(&one, loop.kernels)
  }

  private func makeSums(_ step: lstm_cell_forward, _ loop: TimeLoop) {
    guard let gates = step.gates else { return }
    let (lanes, width, rows) = (loop.kernels.lanes, loop.width, step.rows)
    for i in 0..<loop.ownBlocks.count {
      let (sums, bias) = (gates + i * step.gates_block, step.bias + i * width)
      let weights = step.weights + i * step.weights_block
      if let begin = step.begin {
        sums.copy(from: begin + i * step.begin_block, count: rows * width)
      } else {
        // The vectors in which the inputs have no part.
        let others = cell.inputs.count * lanes
        for row in 0..<rows where others < width {
          (sums + row * width + others).copy(from: bias + others, count: width - others)
        }
        loop.multiplySums(
          cell.inputs, step, rows: rows, depth: inputs, step.x, aRow: step.x_row, step.x_bytes, weights, from: bias,
          into: sums)
      }
      let below = step.begin == nil ? packing(loop.kernels).packedRows(inputs) : 0
      loop.multiplySums(
        cell.hidden, step, rows: rows, depth: step.hidden, step.h, aRow: step.h_row, step.h_bytes,
        weights + below * cell.inputs.count * lanes, from: nil, into: sums)
    }
  }
}

extension TimeLoop {
  /// Adds products to the sums of some rows of one block, in the vectors that `feed` names: A·B, on top of what is there or
  /// of a row to begin with.
  fileprivate func multiplySums(
    _ feed: RecurrentCell.Feed, _ step: lstm_cell_forward, rows: Int, depth: Int, _ a: Floats?, aRow: Int,
    _ rounded: lstm_bytes, _ b: Floats, from first: Floats?, into sums: MutableFloats
  ) {
    let lanes = kernels.lanes
    var p = lstm_product()
    (p.rows, p.depth, p.chunks, p.format) = (rows, depth, 1, step.format)
    (p.a, p.a_row, p.a_step, p.a_bytes) = (a, aRow, 1, rounded)
    (p.b, p.b_row) = (b, feed.count * lanes)
    (p.c, p.c_row) = (sums + feed.first * lanes, width)
    (p.c_vector, p.valid) = ((0, lanes, 2 * lanes, 3 * lanes), feed.valid(lanes))
    (p.start, p.first) = (UInt32(first == nil ? LSTM_FROM_C : LSTM_FROM_ROW), first)
    kernels.product(&p)
  }
}
