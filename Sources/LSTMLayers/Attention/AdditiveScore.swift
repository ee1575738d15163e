internal import CLSTMKernels
internal import LSTMKernels

/// The additive score of a query and a key, Σ w tanh(c (q + k)), which lies in the packed weights as w [keyWidth], c.
///
/// - Source: Bahdanau, Cho & Bengio 2015; Keras's `AdditiveAttention`, and `Attention` with `score_mode` concat.
extension AttentionCore {
  /// Numbers that are added up in a score.
  var addends: Int { score == .additive ? keyWidth : 0 }

  /// The scores of one query and some keys.
  func scoreAdditively(_ q: Floats, _ k: Matrix, into scores: MutableFloats, _ desk: Desk, _ pass: Pass) {
    addAndBend(q, k, desk, pass)
    for i in 0..<k.rows { scores[i] = pass.kernels.dot(keyWidth, desk.tangents + i * keyWidth, pass.packed) }
  }

  /// Makes q + k in `desk.sums` and tanh(c (q + k)) in `desk.tangents`.
  private func addAndBend(_ q: Floats, _ k: Matrix, _ desk: Desk, _ pass: Pass) {
    let (kernels, count) = (pass.kernels, k.rows * keyWidth)
    for i in 0..<k.rows {
      let sum = desk.sums + i * keyWidth
      sum.copy(from: k.row(i), count: keyWidth)
      kernels.add(keyWidth, q, to: sum)
    }
    desk.tangents.copy(from: desk.sums, count: count)
    kernels.scale(count, by: pass.packed[keyWidth], desk.tangents)
    kernels.activate(UInt32(LSTM_TANH), count, desk.tangents, desk.tangents)
  }

  /// Writes the gradient of a query, and adds those of the keys and of w and c.
  func backThroughScores(
    _ q: Floats, _ k: Matrix, _ dScores: Floats, dq: MutableFloats, dk: Matrix, slopes: MutableFloats, _ desk: Desk,
    _ pass: Pass
  ) {
    let (kernels, count) = (pass.kernels, k.rows * keyWidth)
    addAndBend(q, k, desk, pass)
    for i in 0..<k.rows {
      let gradient = desk.gradients + i * keyWidth
      gradient.copy(from: pass.packed, count: keyWidth)
      kernels.scale(keyWidth, by: dScores[i], gradient)
      kernels.add(keyWidth, dScores[i], times: desk.tangents + i * keyWidth, to: slopes)
    }
    kernels.activateBackward(
      UInt32(LSTM_TANH), count, x: desk.sums, y: desk.tangents, dy: desk.gradients, dx: desk.gradients)
    slopes[keyWidth] += kernels.dot(count, desk.gradients, desk.sums)
    kernels.scale(count, by: pass.packed[keyWidth], desk.gradients)
    dq.clear(keyWidth)
    kernels.addColumnSums(rows: k.rows, width: keyWidth, desk.gradients, rowStride: keyWidth, to: dq)
    for i in 0..<k.rows { kernels.add(keyWidth, desk.gradients + i * keyWidth, to: dk.row(i)) }
  }
}
