import Foundation
import LSTMKernels
import LSTMTensors
import LSTMTestSupport
import Testing

@testable import LSTMModels

private let formats = [WeightFormat.bfloat16, .int8]

/// What holds for models with compressed weights: all that holds for others but training, and what is special to them.
@Suite struct CompressionTests {
  /// The nearest number with 8 significant bits, by double arithmetic.
  private func bfloat16(_ x: Float) -> Double {
    if x == 0 { return 0 }
    let place = exp2(Double(x.exponent) - 7)
    return (Double(x) / place).rounded(.toNearestOrEven) * place
  }

  /// Weights are rounded to the nearest number of their format, everything else is as it was.
  @Test(arguments: examples)
  func weightsAreRounded(_ example: Example) throws {
    let model = try example.model(.wide)
    let (halves, integers) = (try model.compressed(.bfloat16).weights, try model.compressed(.int8).weights)
    for entry in model.plan.entries {
      let range = entry.offset..<entry.offset + entry.count
      // Those of an slstm multiply apart from others, and those of positions are only added.
      let isWhole = entry.name.hasPrefix("slstm") && entry.name.hasSuffix("recurrent_weights")
      let isCompressed = entry.shape.rank == 2 && entry.name.hasSuffix("weights") && !isWhole
      #expect((entry.lines != .none) == isCompressed, "\(entry.name)")
      if !isCompressed {
        #expect(halves[range] == model.weights[range] && integers[range] == model.weights[range], "\(entry.name)")
        continue
      }
      #expect(range.allSatisfy { Double(halves[$0]) == bfloat16(model.weights[$0]) }, "\(entry.name)")
      // A token's row of an embedding, else what makes one output, has a largest magnitude of 127 times its scale.
      let isTable = ["embedding.", "a."].contains { example.layers.contains("embedding") && entry.name.hasPrefix($0) }
      let (rows, columns) = (entry.shape[0], entry.shape[1])
      for line in 0..<(isTable ? rows : columns) {
        let places = isTable ? (0..<columns).map { line * columns + $0 } : (0..<rows).map { $0 * columns + line }
        let old = places.map { Double(model.weights[entry.offset + $0]) }
        let new = places.map { Double(integers[entry.offset + $0]) }
        let scale = (new.map(\.magnitude).max() ?? 0) / 127
        // The scale is that of the largest weight, rounded to 17 bits.
        #expect(abs(scale - (old.map(\.magnitude).max() ?? 0) / 127) <= scale * 0x1p-16)
        for (old, new) in zip(old, new) {
          #expect((new / scale).rounded() == new / scale)
          #expect(abs(new - old) <= scale * (0.5 + 127 * 0x1p-16))
        }
      }
    }
  }

  /// With halves of floats the outputs are to the last bit those of the same rounded weights as floats.
  @Test(arguments: examples.filter(\.isContinuous), kernelSets())
  func bfloat16IsFloat32OfRoundedWeights(_ example: Example, _ kernels: Kernels) throws {
    let model = try example.model(.wide, kernels)
    let compressed = try model.compressed(.bfloat16)
    let x = example.sample(.wide, for: model)
    let before = bits(try model.predicted(x))
    model.setWeights(compressed.weights)
    let expected = bits(try model.predicted(x))
    #expect(bits(try compressed.predicted(x)) == expected)
    #expect(expected != before)
  }

  /// With integers they are near those of the same rounded weights as floats, and not the same.
  @Test(arguments: examples.filter(\.isContinuous), kernelSets())
  func int8IsNearFloat32OfRoundedWeights(_ example: Example, _ kernels: Kernels) throws {
    let model = try example.model(.wide, kernels)
    let compressed = try model.compressed(.int8)
    let x = example.sample(.wide, for: model)
    model.setWeights(compressed.weights)
    let (exact, rounded) = (try model.predicted(x), try compressed.predicted(x))
    // An error of at most 1/254 of the largest factor in each of some twenty terms, with weights below 1.4 / √terms, then
    // through a few layers.
    let limit = 0.05 * (exact.map(\.magnitude).max() ?? 0)
    #expect(zip(exact, rounded).allSatisfy { abs($0 - $1) <= limit })
    let hasSums = model.stages.contains { $0.packedCount(model.kernels) != $0.packedCount(compressed.kernels) }
    #expect((bits(exact) != bits(rounded)) == hasSums)
  }

  @Test(arguments: examples, formats)
  func batchEqualsItsRows(_ example: Example, _ format: WeightFormat) throws {
    for kernels in kernelSets() {
      let model = try example.model(.wide, kernels).compressed(format)
      if case .strings(let layer) = model.input, layer.length == nil, model.outputHasTime { return }
      for padding in example.canPad ? Padding.allCases : [.none] {
        let sample = example.sample(.wide, for: model, padding)
        let expected = bits(try model.predicted(sample))
        for batchSize in [1, 5, 9] {
          #expect(bits(try model.predicted(sample, batchSize: batchSize)) == expected, "\(padding), \(batchSize)")
        }
        for threads in [2, 3, 8] {
          #expect(bits(try model.predicted(sample, threads: threads)) == expected, "\(padding), \(threads) threads")
        }
        let alone = try (0..<sample.rows).flatMap { try model.predicted(sample, rows: $0..<$0 + 1) }
        #expect(bits(alone) == expected, "\(padding)")
      }
    }
  }

  /// Step by step, alone, by two threads and together with others: the bits of the whole sequence.
  @Test(arguments: examples.filter { $0.canStream && $0.input == .series }, formats)
  func streamsEqualPredictions(_ example: Example, _ format: WeightFormat) throws {
    for kernels in kernelSets() {
      let model = try example.model(.wide, kernels).compressed(format)
      let (steps, features, rows) = (6, Extents.wide.features, 7)
      var random = Generator(4)
      let values = random.floats(rows * steps * features, in: -2...2)
      let expected = bits(try model.predicted(Sample.numbers(values, Shape(rows, steps, features))))
      let streams = try (0..<rows).map { _ in try LSTMModels.Stream.make(model) }
      let width = streams[0].outputs
      // Of a model without outputs for each step the last one counts.
      let perStep = expected.count == rows * steps * width
      try streams[1].setThreads(2)
      for row in 0...1 {
        let y = Numbers([Float](repeating: .nan, count: steps * width))
        streams[row].process(steps, Array(values[(row * steps * features)...]), y.start)
        let got = perStep ? bits(y.values) : bits(y.values.suffix(width))
        let count = expected.count / rows
        #expect(got == Array(expected[(row * count)..<(row + 1) * count]), "row \(row)")
        streams[row].reset()
      }
      let group = try streams[0].prepareGroup()
      var last: [Float] = []
      for t in 0..<steps {
        for stream in streams { _ = try group.take(stream) }
        let x = Numbers((0..<rows).flatMap { row in values[((row * steps + t) * features)...].prefix(features) })
        let y = Numbers([Float](repeating: .nan, count: rows * width))
        try group.step(x.start, y.start, threads: 1)
        group.release()
        last = y.values
      }
      let wanted = (0..<rows).flatMap { row in expected[..<((row + 1) * expected.count / rows)].suffix(width) }
      #expect(bits(last) == wanted)
    }
  }

  @Test(arguments: examples, formats)
  func savingIsTheIdentity(_ example: Example, _ format: WeightFormat) throws {
    for kernels in kernelSets() {
      let model = try example.model(.wide, kernels).compressed(format)
      let bytes = try model.saved()
      let loaded = try loadModel(bytes, kernels)
      #expect(loaded.weightFormat == format)
      #expect(try loaded.saved() == bytes)
      #expect(bits(loaded.weights) == bits(model.weights))
      #expect(try loaded.described() == model.described())
      let x = example.sample(.wide, for: model)
      #expect(bits(try loaded.predicted(x)) == bits(try model.predicted(x)))
      // Compressing what is compressed changes nothing.
      #expect(try model.compressed(format).saved() == bytes)
      // The description alone makes a model of that format, with weights that it can hold.
      let fresh = try makeModel(try model.described(), kernels)
      #expect(fresh.weightFormat == format)
      #expect(bits(try fresh.compressed(format).weights) == bits(fresh.weights))
    }
  }

  /// Every parameter has its part in the outputs, by way of the packed weights.
  @Test(arguments: examples.filter(\.isContinuous), formats)
  func outputsFollowEveryParameter(_ example: Example, _ format: WeightFormat) throws {
    let model = try example.model(.wide)
    let x = example.sample(.wide, for: model)
    let before = bits(try model.compressed(format).predicted(x))
    // A bias of all keys adds the same to all scores: what it changes are roundings, which 8 bits may not show.
    for (parameter, weights) in model.changedWeights() where !(format == .int8 && parameter.hasSuffix("key_bias")) {
      model.setWeights(weights)
      #expect(bits(try model.compressed(format).predicted(x)) != before, "\(parameter)")
    }
  }

  private func model() throws -> Model {
    try makeRandomModel(
      "{'input_shape': [null, 3], 'layers': ['normalize', {'type': 'lstm', 'units': 18}, {'type': 'dense', 'units': 2}],"
        + "'training': {'loss': 'mse', 'optimizer': 'adam'}}")
  }

  @Test(arguments: formats) func learningIsRefused(_ format: WeightFormat) throws {
    let model = try model().compressed(format)
    let refusal =
      "unsupported: model: expected weights of float32, got \(format): compressed weights are for prediction only"
    #expect(spokenError { try model.checkTrainable() } == refusal)
    #expect(spokenError { try model.adapt(Arrays(Sample.make(for: model, rows: 2, steps: 3).view)) } == refusal)
    let training = try model.described().dropLast() + ", 'training': {'loss': 'mse'}}"
    #expect(spokenError { _ = try makeModel(String(training)) } == refusal)
  }

  @Test func whatCannotBeCompressedSaysSo() throws {
    let model = try model()
    model.parameters.floats[model.plan.entries[2].offset + 4] = .infinity
    #expect(
      argumentError { _ = try model.compressed(.int8) }
        == "model: expected finite weights, got inf in \"lstm.input_weights\"")
    let wide = "{'input_shape': [65537], 'layers': [{'type': 'dense', 'units': 1}], 'weights': "
    _ = try makeModel(wide + "'bfloat16'}")
    #expect(
      argumentError { _ = try makeModel(wide + "'int8'}") }
        == "weights: expected at most 65536 inputs of \"dense.weights\" for int8, got 65537")
    #expect(
      argumentError { _ = try makeModel(wide + "'int4'}") }
        == "description.weights: expected float32, bfloat16 or int8, got \"int4\"")
  }

  /// Magnitudes at the ends of the range: nothing overflows, and what is too small for a scale is zero.
  @Test func extremeWeightsStayFinite() throws {
    let json = "{'input_shape': [4], 'layers': [{'type': 'dense', 'units': 3, 'use_bias': false}]}"
    let model = try makeModel(json)
    let largest = Float.greatestFiniteMagnitude
    model.setWeights(
      [largest, 0x1p-140, 0] + [-largest / 2, 1e-38, 0] + [1, 0, 0] + [-largest, 0x1p-130, -0.0] + [0, 0, 0, 0])
    for format in formats {
      let compressed = try model.compressed(format)
      #expect(compressed.weights.allSatisfy { $0.isFinite })
      #expect(abs(compressed.weights[0] / largest - 1) < 0x1p-7)
      #expect(try loadModel(try compressed.saved()).saved() == compressed.saved())
    }
    let integers = try model.compressed(.int8).weights
    #expect((0..<4).allSatisfy { integers[3 * $0 + 1] == 0 })
  }
}
