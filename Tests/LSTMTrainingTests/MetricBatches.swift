import LSTMKernels
import LSTMLayers
import LSTMTensors
import LSTMTestSupport
import Testing

@testable import LSTMTraining

/// A batch as metrics read it, of one step unless a layout is given; with `classes` these are the targets. All elements
/// count unless there is a mask.
func withBatch(
  _ outputs: [Float], _ targets: [Float], classes: [Int32]? = nil, mask: [Float]? = nil, width: Int = 1,
  layout: Signal? = nil, _ body: (MetricInput) -> Void
) {
  let elements = outputs.count / width
  let mask = mask ?? [Float](repeating: 1, count: elements)
  let (y, t, c, m) = (Numbers(outputs), Numbers(targets), Numbers(classes ?? []), Numbers(mask))
  withExtendedLifetime((y, t, c, m)) {
    body(
      MetricInput(
        outputs: y.start, stride: width, width: width, targets: classes == nil ? .values(t.start) : .classes(c.start),
        elements: elements, mask: m.start,
        layout: layout ?? Signal(values: y.start, steps: 1, batch: elements, width: width), kernels: fastestKernels))
  }
}

/// Batches of outputs in 0...1 and of targets of 0 and 1, with some elements masked that hold NaN.
struct Batches {
  struct Batch {
    var outputs: [Float]
    var targets: [Float]
    var classes: [Int32]
    var mask: [Float]
  }

  let width: Int
  var all: [Batch] = []

  /// - Parameter levels: how many different outputs there are: few give ties.
  init(width: Int, levels: Int, seed: UInt64) {
    self.width = width
    var random = Generator(seed)
    for elements in [7, 1, 40, 0, 23] {
      let mask = (0..<elements).map { _ in Float.random(in: 0...1, using: &random) < 0.3 ? Float(0) : 1 }
      let outputs = (0..<elements * width).map { i -> Float in
        mask[i / width] == 0 ? .nan : Float(Int.random(in: 0...levels, using: &random)) / Float(levels)
      }
      let targets = (0..<elements * width).map { i -> Float in
        mask[i / width] == 0 ? .nan : Float(Int.random(in: 0...1, using: &random))
      }
      let classes = mask.map { $0 == 0 ? Int32.min : Int32.random(in: 0..<Int32(width), using: &random) }
      all.append(Batch(outputs: outputs, targets: targets, classes: classes, mask: mask))
    }
  }

  func forEach(classes: Bool = false, _ body: (MetricInput) -> Void) {
    for batch in all {
      withBatch(
        batch.outputs, batch.targets, classes: classes ? batch.classes : nil, mask: batch.mask, width: width, body)
    }
  }

  func update(_ metric: Metric, classes: Bool = false) { forEach(classes: classes) { metric.update($0) } }

  /// Outputs, targets and label of each element that counts.
  var elements: [(y: [Double], t: [Double], label: Int)] {
    all.flatMap { batch in
      batch.mask.indices.filter { batch.mask[$0] != 0 }.map { element in
        let range = element * width..<(element + 1) * width
        return (
          batch.outputs[range].map { Double($0) }, batch.targets[range].map { Double($0) }, Int(batch.classes[element])
        )
      }
    }
  }

  /// Output and target of each entry that counts.
  var entries: [(y: Double, t: Bool)] {
    elements.flatMap { element in zip(element.y, element.t).map { (y: $0, t: $1 != 0) } }
  }

  func mean(_ f: (_ y: [Double], _ t: [Double], _ label: Int) -> Double) -> Double {
    elements.map { f($0.y, $0.t, $0.label) }.reduce(0, +) / Double(elements.count)
  }

  func entryMean(_ f: (Double, Double) -> Double) -> Double {
    mean { y, t, _ in zip(y, t).map(f).reduce(0, +) / Double(width) }
  }
}

func argmax(_ x: [Double]) -> Int { x.firstIndex(of: x.max()!)! }

/// The metric's figure, twice, and 0 before and after; and that of a metric that takes over in between.
func expect(
  _ json: String, _ batches: Batches, is expected: Double, loss: String = "'mse'", classes: Bool = false,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  func make() throws -> Metric { try metric(json, loss: loss, outputShape: Shape(batches.width)) }
  let (first, other) = (try make(), try make())
  #expect(first.result == 0, sourceLocation: sourceLocation)
  for _ in 0..<2 {
    batches.update(first, classes: classes)
    let result = first.result
    #expect(isClose(result, expected, 1e-12), "\(result), expected \(expected)", sourceLocation: sourceLocation)
    first.handOver(to: other)
    for metric in [first, other] { batches.update(metric, classes: classes) }
    #expect(other.result == first.result, sourceLocation: sourceLocation)
    first.reset()
    #expect(first.result == 0, sourceLocation: sourceLocation)
  }
}
