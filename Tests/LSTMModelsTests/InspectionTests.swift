import LSTMKernels
import LSTMModels
import LSTMTensors
import LSTMTestSupport
import Testing

/// What `Inspection` shows of every layer of every example.
@Suite struct InspectionTests {
  private func paddings(_ example: Example) -> [Padding] { example.canPad ? Padding.allCases : [.none] }

  @Test(arguments: examples, kernelSets())
  func outputsOfTheLastLayerArePredictions(_ example: Example, _ kernels: Kernels) throws {
    let model = try example.model(.wide, kernels)
    for padding in paddings(example) {
      let sample = example.sample(.wide, for: model, padding)
      let shown = try model.inspected(sample, model.blocks.last!.name, "output")
      #expect(bits(shown.values) == bits(try model.predicted(sample)), "\(padding)")
    }
  }

  /// The states behind the last valid step, made in a pass that keeps its tape, are the outputs, made in one that does not.
  @Test(arguments: examples, kernelSets())
  func lastStatesAreOutputs(_ example: Example, _ kernels: Kernels) throws {
    let model = try example.model(.wide, kernels)
    for block in model.blocks where block.isRecurrent(model) && !block.returnsSequences(model) {
      for padding in paddings(example) {
        let sample = example.sample(.wide, for: model, padding)
        let (hidden, output) = (
          try model.inspected(sample, block.name, "hidden"), try model.inspected(sample, block.name, "output")
        )
        let (steps, units) = (hidden.shape[1], hidden.shape[2])
        for row in 0..<sample.rows {
          // Without any step the output is what sequences begin with.
          if !(0..<6).contains(where: { padding.isValid(row: row, of: sample.rows, step: $0, of: 6) }) { continue }
          let states = (0..<steps).map { hidden.values[(row * steps + $0) * units..<(row * steps + $0 + 1) * units] }
          let last = Array(output.values[row * units..<(row + 1) * units])
          #expect(states.contains { bits(Array($0)) == bits(last) }, "\(block.name), \(row)")
        }
      }
    }
  }

  /// Each row alone shows the same bits, and padding shows zeros.
  @Test(arguments: examples, kernelSets())
  func rowsAreAloneAndPaddingIsZero(_ example: Example, _ kernels: Kernels) throws {
    let model = try example.model(.wide, kernels)
    for padding in paddings(example) where example.input != .text {
      let sample = example.sample(.wide, for: model, padding)
      for block in model.blocks {
        for name in block.insides(model) {
          let all = try model.inspected(sample, block.name, name)
          #expect(all.values.allSatisfy { $0.isFinite })
          #expect(all.values.contains { $0 != 0 })
          let count = all.values.count / sample.rows
          for row in [0, 5, sample.rows - 1] {
            let own = Array(all.values[row * count..<(row + 1) * count])
            let alone = try model.inspected(sample, block.name, name, rows: row..<row + 1)
            #expect(bits(own) == bits(alone.values), "\(block.name) \(name), \(padding), \(row)")
            // Behind repeat_vector there is no padding.
            if padding == .lengths, row == sample.rows - 1, example.type != "repeat_vector" {
              #expect(own.allSatisfy { $0 == 0 }, "\(name)")
            }
          }
        }
      }
    }
  }

  /// h = o tanh(c) of a standard lstm, to a rounding of float32 each.
  @Test(arguments: kernelSets(), [WeightFormat.float32, .bfloat16, .int8])
  func gatesMakeStates(_ kernels: Kernels, _ format: WeightFormat) throws {
    let example = Example(
      "lstm", .series,
      "{'type': 'lstm', 'units': 19, 'return_sequences': true}, {'type': 'gru', 'units': 21, 'return_sequences': true}")
    let original = try example.model(.wide, kernels)
    let model = format == .float32 ? original : try original.compressed(format)
    for padding in Padding.allCases {
      let sample = example.sample(.wide, for: model, padding)
      let memory = try model.inspected(sample, "lstm", "memory")
      let (gates, hidden) = (
        try model.inspected(sample, "lstm", "gates"), try model.inspected(sample, "lstm", "hidden")
      )
      for (i, h) in hidden.values.enumerated() {
        let made = Double(gates.values[i / 19 * 76 + 57 + i % 19]) * tanh(Double(memory.values[i]))
        #expect(abs(made - Double(h)) <= 2e-7)
      }
      // h′ = z h + (1 - z) n
      let (second, states) = (try model.inspected(sample, "gru", "gates"), try model.inspected(sample, "gru", "hidden"))
      let steps = states.shape[1]
      for i in 0..<states.values.count where i / 21 % steps > 0 && padding != .gaps {
        let (z, n) = (second.values[i / 21 * 63 + i % 21], second.values[i / 21 * 63 + 42 + i % 21])
        if states.values[i] == 0 { continue }
        #expect(abs(z * states.values[i - 21] + (1 - z) * n - states.values[i]) <= 3e-7)
      }
    }
  }

  /// The weights of a step that sees any others sum to 1, and are not below 0.
  @Test(arguments: examples, kernelSets())
  func attentionSumsToOne(_ example: Example, _ kernels: Kernels) throws {
    let model = try example.model(.wide, kernels)
    for block in model.blocks where block.insides(model).contains("attention") {
      for padding in paddings(example) {
        let sample = example.sample(.wide, for: model, padding)
        let weights = try model.inspected(sample, block.name, "attention")
        for first in stride(from: 0, to: weights.values.count, by: weights.shape.last) {
          let row = weights.values[first..<first + weights.shape.last]
          let sum = row.reduce(0) { $0 + Double($1) }
          #expect(sum == 0 || abs(sum - 1) <= 1e-6)
          #expect(row.allSatisfy { $0 >= 0 })
        }
      }
    }
  }
}

/// `Saliency` against central differences of predictions along a direction.
///
/// Two quotients, of h and h/2, cancel the error of the curvature; what is left is that of rounding, as in `GradientTests`.
@Suite struct SaliencyTests {
  @Test(arguments: examples.filter { $0.hasGradient && !$0.hasKinks }, kernelSets())
  func gradientIsTheSlope(_ example: Example, _ kernels: Kernels) throws {
    let model = try example.model(.tiny, kernels)
    guard model.hasOneTableAtMost, example.input != .text else { return }
    for padding in example.canPad ? Padding.allCases : [.none] {
      let sample = example.sample(.tiny, for: model, padding)
      let count = try model.outputShape(for: Arrays(sample.view)).count() / sample.rows
      for output in [0, count - 1] {
        let gradient = try model.saliency(sample, output: output, steps: 0)
        var random = Generator(4)
        let direction = random.floats(model.directionCount(gradient))
        let slope = { (h: Float) throws -> [Double] in
          let (above, below) = (
            try model.moved(sample, direction, by: h), try model.moved(sample, direction, by: -h)
          )
          return (0..<sample.rows).map {
            (Double(above[$0 * count + output]) - Double(below[$0 * count + output])) / Double(2 * h)
          }
        }
        let (coarse, fine) = (try slope(0x1p-5), try slope(0x1p-6))
        for row in 0..<sample.rows
        where !model.isPadding(sample, padding, row: row, step: output / model.outputShape.last) {
          let expected = try model.along(sample, gradient, direction, row: row)
          #expect(
            abs((4 * fine[row] - coarse[row]) / 3 - expected) <= 1e-4 * max(1, abs(expected)),
            "\(padding), \(output), \(row)")
        }
      }
    }
  }

  /// Sundararajan et al. 2017, proposition 1; the midpoint rule of so many steps is as near as this.
  @Test func integratedGradientsAreComplete() throws {
    let example = Example(
      "lstm", .series,
      "{'type': 'lstm', 'units': 8, 'return_sequences': true}, {'type': 'batch_normalization'},"
        + "{'type': 'gru', 'units': 7, 'dropout': 0.5}, {'type': 'dense', 'units': 2, 'activation': 'softmax'}")
    let model = try example.model(.wide)
    for padding in Padding.allCases {
      let sample = example.sample(.wide, for: model, padding)
      let y = try model.predicted(sample)
      let zeros = try model.moved(sample, [Float](repeating: 0, count: 13 * 6 * 9), by: 0, scale: 0)
      let shown = try model.saliency(sample, output: 1, steps: 200).values
      for row in 0..<sample.rows {
        let sum = shown[row * 54..<(row + 1) * 54].reduce(0) { $0 + Double($1) }
        #expect(abs(sum - Double(y[2 * row + 1] - zeros[2 * row + 1])) <= 1e-5, "\(padding), \(row)")
      }
    }
  }
}

private func tanh(_ x: Double) -> Double {
  let e = exp(-2 * abs(x))
  return (x < 0 ? -1 : 1) * (1 - e) / (1 + e)
}

/// By its series; x is not above 0.
private func exp(_ x: Double) -> Double {
  var (term, sum) = (1.0, 1.0)
  for i in 1..<30 {
    term *= x / 16 / Double(i)
    sum += term
  }
  return (0..<4).reduce(sum) { (y, _) in y * y }
}

private struct Shown {
  let shape: Shape
  let values: [Float]
}

extension Model.Block {
  fileprivate func insides(_ model: Model) -> [String] {
    stages.flatMap { model.stages[$0].insides.map(\.description) }
  }
  fileprivate func isRecurrent(_ model: Model) -> Bool { insides(model).contains("hidden") }
  fileprivate func returnsSequences(_ model: Model) -> Bool {
    model.stages[stages.upperBound - 1].outputShape.rank > 1
  }
}

extension Model {
  fileprivate var hasOneTableAtMost: Bool { stages.filter { $0.hasSparseGradient }.count <= 1 }

  fileprivate func inspected(
    _ sample: Sample, _ layer: String, _ what: String, rows: Range<Int>? = nil
  ) throws -> Shown {
    let x = rows.map { sample.view.slice($0) } ?? sample.view
    let (name, word) = (Array(layer.utf8), Array(what.utf8))
    let inspection = try name.withUnsafeBufferPointer { (name) throws -> Inspection in
      try word.withUnsafeBufferPointer { try Inspection(self, Arrays(x), layer: name, $0) }
    }
    let y = Numbers([Float](repeating: .nan, count: try inspection.shape.count()))
    try inspection.write(into: y.start)
    withExtendedLifetime(sample) {}
    return Shown(shape: inspection.shape, values: y.values)
  }

  fileprivate func saliency(_ sample: Sample, output: Int, steps: Int) throws -> Shown {
    let saliency = try Saliency.make(self, sample.view, output: output, steps: steps)
    let y = Numbers([Float](repeating: .nan, count: try saliency.shape.count()))
    try saliency.write(into: y.start)
    withExtendedLifetime(sample) {}
    return Shown(shape: saliency.shape, values: y.values)
  }

  /// Whether an output stands at padding where a token's vector still reaches it.
  fileprivate func isPadding(_ sample: Sample, _ padding: Padding, row: Int, step: Int) -> Bool {
    guard table != nil, outputHasTime else { return false }
    let steps = sample.view.shape[1]
    let tokens = sample.view.data.assumingMemoryBound(to: Int32.self)
    return !padding.isValid(row: row, of: sample.rows, step: step, of: steps) || tokens[row * steps + step] == 0
  }

  private var table: Parameter? { stages.first { $0.hasSparseGradient }?.parameters[0] }

  /// Numbers of a direction: as many as were read, or as the table has.
  fileprivate func directionCount(_ gradient: Shown) -> Int { table?.count ?? gradient.values.count }

  /// The outputs for what is read, or for the table's vectors, changed along a direction.
  fileprivate func moved(_ sample: Sample, _ direction: [Float], by h: Float, scale: Float = 1) throws -> [Float] {
    if let table {
      let before = weights
      defer { setWeights(before) }
      var changed = before
      for i in 0..<table.count { changed[table.offset + i] += h * direction[i] }
      setWeights(changed)
      return try predicted(sample)
    }
    let values = UnsafeMutableRawPointer(mutating: sample.view.data).assumingMemoryBound(to: Float.self)
    let before = (0..<direction.count).map { values[$0] }
    defer { values.update(from: before, count: before.count) }
    for i in 0..<direction.count { values[i] = scale * before[i] + h * direction[i] }
    return try predicted(sample)
  }

  /// The gradient of a row along a direction.
  fileprivate func along(_ sample: Sample, _ gradient: Shown, _ direction: [Float], row: Int) throws -> Double {
    let (count, width) = (gradient.values.count / sample.rows, gradient.shape.last)
    let tokens = sample.view.data.assumingMemoryBound(to: Int32.self)
    var sum = 0.0
    for i in row * count..<(row + 1) * count where gradient.values[i] != 0 {
      let place = table == nil ? i : Int(tokens[i / width]) * width + i % width
      sum += Double(gradient.values[i]) * Double(direction[place])
    }
    return sum
  }
}
