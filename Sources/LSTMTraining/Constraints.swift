internal import CLSTMKernels
internal import LSTMKernels
internal import LSTMTensors

extension Constraint {
  /// Keras's epsilon, which stands beside norms that are divided by.
  private static let epsilon = 1e-7

  /// Floats of scratch that `apply` needs.
  func scratchCount(_ shape: Shape) -> Int { 2 * inner(shape) }

  /// Numbers behind the axis: how far apart its neighbours are.
  private func inner(_ shape: Shape) -> Int {
    var count = 1
    for i in axis + 1..<max(axis + 1, shape.rank) { count *= shape[i] }
    return count
  }

  /// Makes the weights of one parameter what they may be.
  func apply(_ weights: MutableFloats, _ shape: Shape, count: Int, scratch: MutableFloats, _ kernels: Kernels) {
    if case .nonnegative = rule { return kernels.activate(UInt32(LSTM_RELU), count, weights, weights) }
    let (inner, extent) = (inner(shape), shape[axis])
    for first in stride(from: 0, to: count, by: extent * inner) {
      let own = weights + first
      if inner == 1 {
        kernels.scale(extent, by: factor(kernels.sumOfSquares(extent, own)), own)
        continue
      }
      let (sums, row) = (scratch, scratch + inner)
      sums.clear(inner)
      for i in 0..<extent {
        kernels.multiply(inner, own + i * inner, own + i * inner, row)
        kernels.add(inner, Floats(row), to: sums)
      }
      for j in 0..<inner { sums[j] = factor(Double(sums[j])) }
      for i in 0..<extent { kernels.multiply(inner, own + i * inner, Floats(sums), own + i * inner) }
    }
  }

  /// What numbers are multiplied with whose squares have this sum.
  private func factor(_ squares: Double) -> Float {
    let norm = squares.squareRoot()
    var wanted = norm
    switch rule {
    case .nonnegative: break
    case .unitNorm: wanted = 1
    case .maxNorm(let most): wanted = min(norm, Double(most))
    case .minMaxNorm(let least, let most, let rate):
      wanted = Double(rate) * min(max(norm, Double(least)), Double(most)) + (1 - Double(rate)) * norm
    }
    return Float(wanted / (Constraint.epsilon + norm))
  }
}
