import LSTMKernels
import LSTMModels
import LSTMTestSupport
import LSTMTensors
import Testing

/// What backward passes owe besides being right.
@Suite struct BackwardTests {
  /// The gradient is added to what is there: twice makes the double, and what is not trainable stays untouched.
  @Test(arguments: examples.filter(\.hasGradient), kernelSets())
  func addsToTheGradient(_ example: Example, _ kernels: Kernels) throws {
    let model = try example.model(.wide, kernels)
    let chain = try Chain(model, example.sample(.wide, for: model, example.canPad ? .lengths : .none))
    var random = Generator(4)
    let dy = random.floats(chain.outputCount)
    func pass() throws -> [Float] {
      _ = chain.forward()
      try chain.backward(dy)
      return Array(UnsafeBufferPointer(start: chain.gradients.floats, count: model.plan.count))
    }
    let once = try pass()
    let twice = try pass()
    for entry in model.plan.entries {
      let range = entry.offset..<entry.offset + entry.count
      let largest = once[range].reduce(0) { max($0, $1.magnitude) }
      #expect((largest > 0) == entry.isTrainable, "\(entry.name)")
      // The sum is built up in another order.
      #expect(range.allSatisfy { abs(twice[$0] - 2 * once[$0]) <= 1e-5 * max(1, largest) }, "\(entry.name)")
    }
  }

  /// `Run`, whose memory is shared and used again, gives the bits of the layers in memory of their own.
  @Test(arguments: examples, kernelSets())
  func runGivesTheBitsOfItsLayers(_ example: Example, _ kernels: Kernels) throws {
    let model = try example.model(.wide, kernels)
    try model.prepareBackward()
    let run = try Run.make(model, .train)
    // A larger batch first leaves its numbers where the smaller one goes.
    for (rows, padding) in [
      (13, Padding.none), (4, example.canPad ? .gaps : .none), (5, example.canPad ? .ends : .none),
    ] {
      let sample = Sample.make(for: model, rows: rows, steps: 6, padding: padding)
      let chain = try Chain(model, sample)
      let expected = bits(chain.forward())
      var random = Generator(4)
      let dy = random.floats(chain.outputCount)
      try chain.backward(dy)

      try run.load(sample)
      let output = run.forward()
      #expect(bits(UnsafeBufferPointer(start: output.values, count: output.count)) == expected)
      run.outputGradient.update(from: dy, count: dy.count)
      let gradients = Numbers([Float](repeating: 0, count: model.plan.count))
      run.backward(gradients: gradients.start)
      let count = model.plan.count
      run.addSparseGradients(gradients.start)
      #expect(bits(gradients.values) == bits(UnsafeBufferPointer(start: chain.gradients.floats, count: count)))
    }
  }

  /// What stands in padding has no effect, so its gradient is zero, not only small.
  @Test(arguments: examples.filter(\.canPad), kernelSets())
  func paddingHasNoGradient(_ example: Example, _ kernels: Kernels) throws {
    if example.input == .tokens { return }
    let model = try example.model(.tiny, kernels)
    for padding in [Padding.lengths, .gaps] {
      let sample = example.sample(.tiny, for: model, padding)
      let chain = try Chain(model, sample)
      _ = chain.forward()
      var random = Generator(6)
      let dy = random.floats(chain.outputCount).enumerated().map { chain.isValid(output: $0.offset) ? $0.element : 0 }
      try chain.backward(dy)
      let extents = Extents.tiny
      let width = chain.inputCount / (extents.steps * extents.batch)
      for step in 0..<extents.steps {
        for row in 0..<extents.batch
        where !padding.isValid(row: row, of: extents.batch, step: step, of: extents.steps) {
          let place = (step * extents.batch + row) * width
          let gradient = (place..<place + width).map { chain.inputGradient.floats[$0] }
          #expect(gradient.allSatisfy { $0 == 0 }, "step \(step), row \(row)")
        }
      }
    }
  }
}
