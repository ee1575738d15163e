import LSTMKernels
import LSTMModels
import LSTMTensors
import LSTMTestSupport
import Testing

/// A row's outputs depend on nothing but its own valid steps, to the last bit.
@Suite struct BatchTests {
  private func paddings(_ example: Example) -> [Padding] { example.canPad ? Padding.allCases : [.none] }

  /// Where texts of open length give outputs for each step, all of a call get as many as the longest.
  private func hasOwnLength(_ model: Model) -> Bool {
    if case .strings(let layer) = model.input { return layer.length != nil || !model.outputHasTime }
    return true
  }

  @Test(arguments: examples, kernelSets())
  func batchEqualsItsRows(_ example: Example, _ kernels: Kernels) throws {
    let model = try example.model(.wide, kernels)
    guard hasOwnLength(model) else { return }
    for padding in paddings(example) {
      let sample = example.sample(.wide, for: model, padding)
      let expected = bits(try model.predicted(sample))
      #expect(!example.isContinuous || Set(expected).count > sample.rows / 2, "the outputs say nothing")
      for batchSize in [1, 2, 5, sample.rows] {
        #expect(bits(try model.predicted(sample, batchSize: batchSize)) == expected, "\(padding), \(batchSize)")
      }
      let alone = try (0..<sample.rows).flatMap { try model.predicted(sample, rows: $0..<$0 + 1) }
      #expect(bits(alone) == expected, "\(padding)")
    }
  }

  /// NaN or an impossible token in the padding, or zeros: the outputs are the same.
  @Test(arguments: examples.filter(\.canPad), kernelSets())
  func paddingIsNeverRead(_ example: Example, _ kernels: Kernels) throws {
    let model = try example.model(.wide, kernels)
    for padding in [Padding.lengths, .gaps] {
      let full = Sample.make(for: model, rows: 13, steps: 6, padding: padding)
      let plain = Sample.make(for: model, rows: 13, steps: 6, padding: padding, fillsPadding: false)
      let y = try model.predicted(full)
      #expect(bits(y) == bits(try model.predicted(plain)), "\(padding)")
      #expect(y.allSatisfy { $0.isFinite })
    }
  }

  /// A sequence gives what it gives without its padding, at the end or at the front.
  @Test(arguments: examples.filter { $0.input == .series }, kernelSets())
  func paddingIsAsIfItWereNotThere(_ example: Example, _ kernels: Kernels) throws {
    let model = try example.model(.wide, kernels)
    guard !model.outputHasTime else { return }
    let (steps, features, pads) = (6, Extents.wide.features, 3)
    var random = Generator(9)
    let values = random.floats(steps * features)
    let expected = bits(try model.predicted(Sample.numbers(values, Shape(1, steps, features))))
    for before in 0...pads {
      let nan = [Float](repeating: .nan, count: pads * features)
      let padded = Numbers(nan.prefix(before * features) + values + nan.dropFirst(before * features))
      let mask = Numbers((0..<steps + pads).map { step -> UInt8 in (before..<before + steps).contains(step) ? 1 : 0 })
      let shape = Shape(1, steps + pads, features)
      let view = ArrayView(
        name: "x", element: .float32, data: padded.start, shape: shape, strides: rowMajorStrides(shape, 4),
        mask: UnsafePointer(mask.start))
      let y = Numbers([Float](repeating: .nan, count: expected.count))
      try model.predict(view, batchSize: 1, into: y.start)
      withExtendedLifetime((padded, mask)) {}
      #expect(bits(y.values) == expected, "\(before) steps before")
    }
  }
}
