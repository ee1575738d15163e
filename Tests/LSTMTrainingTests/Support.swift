import LSTMTensors
import LSTMTestSupport

@testable import LSTMTraining

func loss(_ json: String) throws -> Loss { try Loss.make(try parsed(json), path: "loss") }

func metric(_ json: String, loss description: String = "'mse'", outputShape: Shape = Shape(1)) throws -> Metric {
  try Metric.make(try parsed(json), path: "metrics[0]", loss: try loss(description), outputShape: outputShape)
}

extension Metric {
  /// Lets another that is made alike go on where this one stands.
  func handOver(to other: Metric) {
    var numbers = [Double](repeating: .nan, count: stateCount)
    numbers.withUnsafeMutableBufferPointer { save(to: $0.baseAddress!) }
    numbers.withUnsafeBufferPointer { other.restore(from: $0.baseAddress!) }
  }
}

func optimizer(_ json: String) throws -> Optimizer { try Optimizer.make(try parsed(json), path: "optimizer") }

/// Whether two numbers differ by at most `tolerance` of the expected one, or of 1 if that is smaller.
func isClose(_ actual: Double, _ expected: Double, _ tolerance: Double) -> Bool {
  (actual - expected).magnitude <= tolerance * max(1, expected.magnitude)
}
