internal import CLSTMShim
internal import LSTMKernels
internal import LSTMTensors

/// Uniform in ±√(6 / (rows + columns)).
///
/// - Source: Glorot & Bengio 2010; Keras's `glorot_uniform`.
func glorotUniform(_ w: MutableFloats, rows: Int, columns: Int, _ random: inout RandomSequence) {
  uniform(w, count: rows * columns, limit: shim_sqrt(6 / (Double(rows) + Double(columns))), &random)
}

/// Uniform in [-limit, limit).
func uniform(_ w: MutableFloats, count: Int, limit: Double, _ random: inout RandomSequence) {
  for i in 0..<count { w[i] = Float((2 * random.uniform() - 1) * limit) }
}

/// `rows` orthonormal rows of `columns` ≥ `rows` numbers, from all such with equal density.
///
/// Normal numbers, made orthogonal by Gram and Schmidt's method, twice for each row: once loses digits.
/// - Source: Saxe, McClelland & Ganguli 2014; Keras's `orthogonal`.
func orthogonal(_ w: MutableFloats, rows: Int, columns: Int, _ random: inout RandomSequence, _ kernels: Kernels) {
  for r in 0..<rows {
    let row = w + r * columns
    normal(row, count: columns, &random)
    for _ in 0..<2 {
      for q in 0..<r {
        let other = w + q * columns
        kernels.add(columns, -kernels.dot(columns, row, other), times: other, to: row)
      }
      kernels.scale(columns, by: Float(1 / shim_sqrt(kernels.sumOfSquares(columns, row))), row)
    }
  }
}

/// Normal numbers of mean 0 and deviation 1, by the method of Box and Muller.
func normal(_ w: MutableFloats, count: Int, _ random: inout RandomSequence) {
  let turn = 2 * Double.pi
  for i in 0..<count {
    let radius = shim_sqrt(-2 * shim_log(1 - random.uniform()))
    w[i] = Float(radius * shim_cos(turn * random.uniform()))
  }
}
