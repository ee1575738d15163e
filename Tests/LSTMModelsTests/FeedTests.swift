import LSTMModels
import LSTMTensors
import LSTMTestSupport
import Testing

@Suite struct FeedTests {
  private let tokens = "{'layers': [{'type': 'embedding', 'vocabulary': 5, 'units': 2}, {'type': 'lstm', 'units': 3}]}"
  private let series = "{'input_shape': [null, 3], 'layers': [{'type': 'lstm', 'units': 2}]}"
  private let fixed = "{'input_shape': [4, 3], 'layers': [{'type': 'lstm', 'units': 2}]}"
  private let vector = "{'input_shape': [3], 'layers': [{'type': 'dense', 'units': 2}]}"
  private let texts =
    "{'layers': [{'type': 'text', 'vocabulary': ['a']}, {'type': 'embedding', 'vocabulary': 3, 'units': 2}, {'type': 'lstm', 'units': 2}]}"

  private func error(_ json: String, _ sample: Sample) throws -> String? {
    let model = try makeModel(json)
    return spokenError { _ = try model.predicted(sample) }
  }

  private func zeros(_ extents: Int...) -> Sample {
    var shape = Shape()
    for extent in extents { shape.append(extent) }
    return Sample.numbers([Float](repeating: 0, count: extents.reduce(1, *)), shape)
  }

  @Test func shapesMustFit() throws {
    #expect(try error(series, zeros(2, 4, 3)) == nil)
    #expect(try error(series, zeros(2, 4, 2)) == "argument: x.shape: expected (None, None, 3), got (2, 4, 2)")
    #expect(try error(series, zeros(2, 3)) == "argument: x.shape: expected (None, None, 3), got (2, 3)")
    #expect(try error(series, zeros(2, 0, 3)) == "argument: x.shape: expected at least one timestep, got (2, 0, 3)")
    #expect(try error(series, zeros(0, 4, 3)) == nil)
    #expect(try error(fixed, zeros(2, 5, 3)) == "argument: x.shape: expected (None, 4, 3), got (2, 5, 3)")
    #expect(try error(vector, zeros(2, 1, 3)) == "argument: x.shape: expected (None, 3), got (2, 1, 3)")
    #expect(try error(tokens, zeros(2)) == "argument: x.shape: expected (None, None), got (2,)")
    #expect(try error(tokens, zeros(2, 0)) == "argument: x.shape: expected at least one timestep, got (2, 0)")
  }

  @Test func typesMustFit() throws {
    #expect(try error(texts, zeros(2)) == "type: x.type: expected string, got float32")
    #expect(try error(series, Sample.texts(["a"])) == "type: x.type: expected numbers, got string")
    #expect(try error(tokens, Sample.texts(["a"])) == "type: x.type: expected tokens, got string")
    #expect(try error(texts, Sample.texts(["a b", ""])) == nil)
    let untaught = texts.replacing("'vocabulary': ['a']", with: "'level': 'word'")
    #expect(
      try error(untaught, Sample.texts(["a"]))
        == "argument: layer \"text\": expected a vocabulary, got none: call lstm_adapt or give 'vocabulary'")
  }

  @Test func tokensMustBeKnown() throws {
    for (bad, spoken) in [(Float(5), "5"), (-1, "-1"), (0.5, "0.5"), (.nan, "nan"), (.infinity, "inf")] {
      let sample = Sample.numbers([0, 1, 2, 3, bad, 4], Shape(2, 3))
      #expect(try error(tokens, sample) == "argument: x[1, 1]: expected a token from 0 to 4, got \(spoken)")
    }
    // A bad row after the first batch is found before anything is written.
    let model = try makeModel(tokens)
    let sample = Sample.numbers([0, 1, 2, 9], Shape(4, 1))
    let y = Numbers([Float](repeating: 7, count: 12))
    #expect(spokenError { try model.predict(sample.view, batchSize: 1, into: y.start) } != nil)
    withExtendedLifetime(sample) {}
    #expect(y.values == [Float](repeating: 7, count: 12))
  }

  /// A text of a late batch that is too short for a layer is found before anything is written.
  @Test func textsMustBeLongEnough() throws {
    let windows = "{'type': 'conv1d', 'filters': 2, 'kernel_size': 3}, {'type': 'global_max_pooling'}"
    let model = try makeModel(texts.replacing("{'type': 'lstm', 'units': 2}", with: windows))
    let sample = Sample.texts(["a b c", "a a a a", "a a", "b"])
    let y = Numbers([Float](repeating: 7, count: 8))
    #expect(
      argumentError { try model.predict(sample.view, batchSize: 2, into: y.start) }
        == "x: expected at least 3 timesteps for layer \"conv1d\", got 2")
    withExtendedLifetime(sample) {}
    #expect(y.values == [Float](repeating: 7, count: 8))
  }

  /// A prediction takes NaN as it comes and keeps it to its own row.
  @Test func nanStaysInItsRow() throws {
    let model = try makeModel(vector)
    let y = try model.predicted(Sample.numbers([1, 2, 3, 1, .nan, 3, 1, 2, 3], Shape(3, 3)))
    #expect(y[2].isNaN && y[3].isNaN)
    #expect(bits(y[0..<2]) == bits(y[4..<6]) && y[0].isFinite)
  }

  @Test func paddingMustMeanSomething() throws {
    let model = try makeModel(vector)
    let x = Numbers<Float>([1, 2, 3])
    let lengths = Numbers<Int64>([1])
    let view = ArrayView(
      name: "x", element: .float32, data: x.start, shape: Shape(1, 3), strides: Shape(12, 4),
      lengths: UnsafePointer(lengths.start))
    #expect(
      spokenError { _ = try model.outputShape(for: Arrays(view)) }
        == "argument: x.lengths: expected none, since the model reads no sequences, got some")
    let words = Sample.texts(["a"])
    let padded = ArrayView(
      name: "x", element: .string, data: words.view.data, shape: Shape(1), strides: Shape(8),
      lengths: UnsafePointer(lengths.start))
    let reader = try makeModel(texts)
    #expect(
      spokenError { _ = try reader.outputShape(for: Arrays(padded)) }
        == "argument: x.lengths: expected none for text, got some")
    withExtendedLifetime((x, lengths, words)) {}
  }

  /// Every element type, with any strides, is read as the same float32 numbers.
  @Test func elementTypesAreEqual() throws {
    let model = try makeModel(series)
    let numbers = [1, 2, 0, 3, 5, 4, 7, 9, 8, 2, 1, 6]
    let expected = bits(try model.predicted(Sample.numbers(numbers.map { Float($0) }, Shape(2, 2, 3))))
    func check<T: BitwiseCopyable>(_ element: ArrayView.Element, _ values: [T]) throws {
      // Features backwards, and time with every other step missing.
      var spread: [T] = []
      for row in 0..<4 { spread += values[row * 3..<row * 3 + 3].reversed() + values[0..<3] }
      let memory = Numbers(spread)
      let size = element.size
      let view = ArrayView(
        name: "x", element: element, data: memory.start + 2, shape: Shape(2, 2, 3),
        strides: Shape(12 * size, 6 * size, -size))
      let y = Numbers([Float](repeating: .nan, count: expected.count))
      try model.predict(view, batchSize: 2, into: y.start)
      withExtendedLifetime(memory) {}
      #expect(bits(y.values) == expected, "\(element)")
    }
    try check(.float32, numbers.map { Float($0) })
    try check(.float64, numbers.map { Double($0) })
    try check(.int32, numbers.map { Int32($0) })
    try check(.int64, numbers.map { Int64($0) })
    try check(.uint8, numbers.map { UInt8($0) })
  }
}
