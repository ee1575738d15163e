import CLSTMKernels
import Foundation
import Testing

/// One instruction set's kernels, as an argument of a test.
struct KernelSet: CustomTestStringConvertible, @unchecked Sendable {
  let table: lstm_kernel_table
  /// The best form of 8-bit weights on this processor.
  let int8: UInt32

  var lanes: Int { table.lanes }
  var testDescription: String { String(cString: table.name) }

  /// Those that this processor can run.
  static let all: [KernelSet] = ["baseline", "avx2", "avx512", "neon"].compactMap { name in
    var known: Int32 = 0
    return lstm_kernels_named(name, &known).map { KernelSet(table: $0.pointee, int8: lstm_kernels_int8($0)) }
  }
}

/// The activations with their definitions in float64.
enum Activation: UInt32, CaseIterable {
  case linear, sigmoid, tanh, relu, hardSigmoid, elu, gelu, silu, softplus, fastSigmoid, fastTanh

  /// At minus infinity the limit, where the formula would multiply infinity by zero.
  func callAsFunction(_ x: Double) -> Double {
    switch self {
    case .linear: x
    case .sigmoid, .fastSigmoid: 1 / (1 + exp(-x))
    case .tanh, .fastTanh: Foundation.tanh(x)
    case .relu: x.isNaN ? x : max(x, 0)
    case .hardSigmoid: x.isNaN ? x : min(max((x + 3) / 6, 0), 1)
    case .elu: x > 0 ? x : expm1(x)
    case .gelu: x == -.infinity ? 0 : 0.5 * x * erfc(-x / 2.0.squareRoot())
    case .silu: x == -.infinity ? 0 : x / (1 + exp(-x))
    case .softplus: (x.isNaN ? x : max(x, 0)) + log1p(exp(-abs(x)))
    }
  }
}

/// Runs `kernel` on copies of the arrays, each in memory of just its size, and returns what they are then.
func onCopies(of arrays: [Float]..., kernel: ([UnsafeMutablePointer<Float>]) -> Void) -> [[Float]] {
  let copies = arrays.map { array in
    let copy = UnsafeMutableBufferPointer<Float>.allocate(capacity: array.count)
    _ = copy.initialize(from: array)
    return copy
  }
  defer { for copy in copies { copy.deallocate() } }
  kernel(copies.map { $0.baseAddress! })
  return copies.map { Array($0) }
}

/// What stands where a kernel must not write: a NaN that no arithmetic gives.
let untouched = Float(bitPattern: 0x7FC5_A5A5)

func isUntouched(_ x: Float) -> Bool { x.bitPattern == untouched.bitPattern }

/// The distance from `got` to the exact value, in units of the last place of a float of that size.
func ulps(_ got: Float, _ exact: Double) -> Double {
  if got.isNaN || exact.isNaN { return got.isNaN && exact.isNaN ? 0 : .infinity }
  // Beyond the range infinity is right, and so is what would round to it from below.
  if got.isInfinite || abs(exact) >= 0x1p128 { return got == Float(exact) ? 0 : .infinity }
  return abs(Double(got) - exact) / lastPlace(exact)
}

/// The distance between the floats about `x`.
func lastPlace(_ x: Double) -> Double { max(x.binade.magnitude, 0x1p-126) * 0x1p-23 }
