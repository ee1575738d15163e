internal import CLSTMShim
internal import LSTMKernels
internal import LSTMTensors

/// Steps whose squared gradients are kept as the sums of rows and columns alone, so that a matrix of weights has
/// rows + columns numbers of state.
///
///     R ← β·R + (1 - β)·(mean of g² + ε₁ over each row)      β = 1 - t^decay     C as R, over each column
///     U = g / √(R·C / mean R)      w -= max(ε₂, rms w)·min(rate, 1/√t)·U / max(1, rms U / threshold)
///
/// of vectors V ← β·V + (1 - β)·(g² + ε₁) and U = g / √V.
/// - Source: Shazeer & Stern 2018, as keras/src/optimizers/adafactor.py has it.
struct Adafactor {
  var decay = 0.0
  var epsilon1 = 0.0
  var epsilon2 = 0.0
  var threshold = 0.0

  /// Numbers of state of a parameter: the sums of rows and columns of each matrix that its last two axes make, or one for
  /// each number of a vector.
  static func stateCount(_ parameter: Parameter) -> Int {
    let (rows, columns) = extents(parameter)
    return rows == 0 ? parameter.count : parameter.count / (rows * columns) * (rows + columns)
  }

  /// Of the matrices that the last two axes make; no rows: it is a vector.
  private static func extents(_ parameter: Parameter) -> (rows: Int, columns: Int) {
    let shape = parameter.shape
    return shape.rank < 2 ? (0, parameter.count) : (shape[shape.rank - 2], shape.last)
  }

  /// One step.
  ///
  /// - Parameters:
  ///   - weightDecay: the share of the weights that is taken off before.
  ///   - state: `stateCount` numbers.
  ///   - scratch: twice as many.
  func update(
    _ parameter: Parameter, _ weights: MutableFloats, _ gradient: Floats, state: MutableFloats,
    scratch: MutableFloats, step: UInt64, rate: Double, weightDecay: Double, _ kernels: Kernels
  ) {
    let count = parameter.count
    if weightDecay != 0 { kernels.scale(count, by: Float(1 - weightDecay), weights) }
    let time = Double(step)
    let keep = Float(1 - shim_pow(time, decay))
    let (rows, columns) = Adafactor.extents(parameter)
    let squares: Double
    if rows == 0 {
      squares = addVector(count, gradient, to: state, keep)
    } else {
      var sum = 0.0
      for matrix in 0..<count / (rows * columns) {
        let own = Matrix(self, rows, columns, gradient, state, scratch, matrix)
        own.add(keep, kernels)
        sum += own.forEachRow(kernels) { (row, factor) in
          kernels.sumOfSquares(columns, row) * Double(factor) * Double(factor)
        }
      }
      squares = sum
    }
    let size = max(epsilon2, (kernels.sumOfSquares(count, weights) / Double(count)).squareRoot())
    let pace = size * min(rate, 1 / time.squareRoot()) / max(1, (squares / Double(count)).squareRoot() / threshold)
    if rows == 0 {
      for i in 0..<count { weights[i] -= Float(pace) * gradient[i] / state[i].squareRoot() }
      return
    }
    for matrix in 0..<count / (rows * columns) {
      var to = weights + matrix * rows * columns
      _ = Matrix(self, rows, columns, gradient, state, scratch, matrix).forEachRow(kernels) { (row, factor) in
        kernels.add(columns, -Float(pace) * factor, times: row, to: to)
        to += columns
        return 0
      }
    }
  }

  /// - Returns: Σ U².
  private func addVector(_ count: Int, _ gradient: Floats, to state: MutableFloats, _ keep: Float) -> Double {
    var sum = 0.0
    for i in 0..<count {
      let square = gradient[i] * gradient[i] + Float(epsilon1)
      state[i] = keep * state[i] + (1 - keep) * square
      sum += Double(gradient[i]) * Double(gradient[i]) / Double(state[i])
    }
    return sum
  }

  private struct Matrix {
    let rows, columns: Int
    let epsilon: Float
    let gradient: Floats
    let ofRows: MutableFloats
    let ofColumns: MutableFloats
    /// 1 / √C.
    let factors: MutableFloats
    let row: MutableFloats

    init(
      _ rule: Adafactor, _ rows: Int, _ columns: Int, _ gradient: Floats, _ state: MutableFloats,
      _ scratch: MutableFloats, _ index: Int
    ) {
      (self.rows, self.columns, epsilon) = (rows, columns, Float(rule.epsilon1))
      self.gradient = gradient + index * rows * columns
      ofRows = state + index * (rows + columns)
      ofColumns = ofRows + rows
      factors = scratch
      row = scratch + columns
    }

    /// Adds the gradient's squares to R and C.
    func add(_ keep: Float, _ kernels: Kernels) {
      factors.clear(columns)
      for i in 0..<rows {
        let own = gradient + i * columns
        let mean = Float(kernels.sumOfSquares(columns, own) / Double(columns)) + epsilon
        ofRows[i] = keep * ofRows[i] + (1 - keep) * mean
        kernels.multiply(columns, own, own, row)
        kernels.add(columns, Floats(row), to: factors)
      }
      for j in 0..<columns {
        ofColumns[j] = keep * ofColumns[j] + (1 - keep) * (factors[j] / Float(rows) + epsilon)
      }
    }

    /// Makes the rows of U one by one: numbers and what each is still to be multiplied with. Sums what `body` gives.
    func forEachRow(_ kernels: Kernels, _ body: (Floats, Float) -> Double) -> Double {
      var total = 0.0
      for i in 0..<rows { total += Double(ofRows[i]) }
      let mean = total / Double(rows)
      for j in 0..<columns { factors[j] = 1 / ofColumns[j].squareRoot() }
      var sum = 0.0
      for i in 0..<rows {
        kernels.multiply(columns, gradient + i * columns, Floats(factors), row)
        sum += body(Floats(row), Float((mean / Double(ofRows[i])).squareRoot()))
      }
      return sum
    }
  }
}
