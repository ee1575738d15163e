import LSTMDescription
import LSTMKernels
import LSTMTensors
import Testing

@testable import LSTMTraining

/// A value of a description; it keeps its document alive.
func parsed(_ json: String) throws -> Value {
  try Array(json.utf8).withUnsafeBufferPointer { try Document.parse($0, name: "training").root }
}

func loss(_ json: String) throws -> Loss { try Loss.make(try parsed(json), path: "loss") }

func metric(_ json: String, loss description: String = "'mse'", outputWidth: Int = 1) throws -> Metric {
  try Metric.make(try parsed(json), path: "metrics[0]", loss: try loss(description), outputWidth: outputWidth)
}

func optimizer(_ json: String) throws -> Optimizer { try Optimizer.make(try parsed(json), path: "optimizer") }

/// The text of the LSTMError.argument that `body` throws.
func argumentError(_ body: () throws -> Void) -> String? {
  do { try body() } catch LSTMError.argument(let text) { return text } catch { return nil }
  return nil
}

func text(_ writer: Writer) -> String { String(decoding: writer.text, as: UTF8.self) }

/// Every set of kernels that this processor can run.
func kernelSets() -> [Kernels] {
  ["baseline", "avx2", "avx512", "neon"].compactMap { (name: StaticString) -> Kernels? in
    let found = name.withUTF8Buffer { bytes in
      bytes.withMemoryRebound(to: CChar.self) { Kernels.named($0.baseAddress!) }
    }
    if case .found(let kernels) = found { return kernels }
    return nil
  }
}

/// Numbers at an address of their own, as long as this object lives.
final class Numbers<T: BitwiseCopyable> {
  let start: UnsafeMutablePointer<T>
  let count: Int

  init(_ values: [T]) {
    (start, count) = (.allocate(capacity: values.count + 1), values.count)
    start.initialize(from: values, count: count)
  }

  deinit { start.deallocate() }

  var values: [T] { Array(UnsafeBufferPointer(start: start, count: count)) }
}

/// Numbers that are the same in every run (SplitMix64).
struct Generator: RandomNumberGenerator {
  var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func floats(_ count: Int, in range: ClosedRange<Float>) -> [Float] {
    (0..<count).map { _ in Float.random(in: range, using: &self) }
  }
}

/// Whether two numbers differ by at most `tolerance` of the expected one, or of 1 if that is smaller.
func isClose(_ actual: Double, _ expected: Double, _ tolerance: Double) -> Bool {
  (actual - expected).magnitude <= tolerance * max(1, expected.magnitude)
}
