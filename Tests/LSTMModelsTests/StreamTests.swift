import LSTMKernels
import LSTMTensors
import LSTMTestSupport
import Testing

@testable import LSTMLayers
@testable import LSTMModels

@Suite struct StreamTests {
  /// Input as a stream takes it: the steps of one sequence, or samples of a model that knows no time.
  private func steps(_ count: Int, for model: Model) throws -> [[Float]] {
    var rows = 1
    if case .values(let shape) = model.input, shape.rank == 1 { rows = count }
    let sample = Sample.make(for: model, rows: rows, steps: count, seed: 3)
    let run = try Run.make(model, .predict)
    try run.load(sample)
    return (0..<run.steps * rows).map { step in
      if case .values = model.input {
        return (0..<run.inputWidth).map { run.values[step * run.inputWidth + $0] }
      }
      return [Float(run.tokens[step])]
    }
  }

  /// Step t gives what `predict` gives for the sequence up to t, to the last bit.
  @Test(arguments: examples.filter(\.canStream), kernelSets())
  func stepsEqualPredictionsOfPrefixes(_ example: Example, _ kernels: Kernels) throws {
    let model = try example.model(.wide, kernels)
    let steps = try steps(7, for: model)
    let stream = try LSTMModels.Stream.make(model)
    #expect(stream.inputs == steps[0].count)
    let y = Numbers([Float](repeating: .nan, count: stream.outputs))
    var all: [Float] = []
    for t in 0..<steps.count {
      stream.process(1, steps[t], y.start)
      all += y.values
      #expect(bits(y.values) == bits(try lastOutput(model, Array(steps[...t]))), "step \(t)")
    }
    // All steps at once, after a reset.
    stream.reset()
    let together = Numbers([Float](repeating: .nan, count: all.count))
    stream.process(steps.count, steps.flatMap { $0 }, together.start)
    #expect(bits(together.values) == bits(all))
    #expect(Set(bits(all)).count > steps.count / 2, "the outputs say nothing")
  }

  /// What `predict` gives for these steps as a sequence of its own: its last step.
  private func lastOutput(_ model: Model, _ steps: [[Float]]) throws -> [Float] {
    if case .values(let shape) = model.input, shape.rank == 1, steps.count > 1 {
      return try lastOutput(model, steps.suffix(1))
    }
    let flat = steps.flatMap { $0 }
    let run = try Run.make(model, .predict)
    try run.prepare(steps: steps.count, batch: 1)
    if case .values = model.input {
      run.values.update(from: flat, count: flat.count)
    } else {
      for t in 0..<flat.count { run.tokens[t] = Int32(flat[t]) }
      if model.masksZero(0) {
        run.padding = .masked
        for t in 0..<flat.count { run.mask[t] = flat[t] == 0 ? 0 : 1 }
      }
    }
    run.layOut()
    let y = run.forward()
    return Array(UnsafeBufferPointer(start: y.values, count: y.count).suffix(y.width))
  }

  @Test(arguments: examples.filter { !$0.canStream })
  func whatNeedsTheWholeSequenceSaysSo(_ example: Example) throws {
    let model = try example.model(.tiny)
    let error = try #require(spokenError { _ = try LSTMModels.Stream.make(model) })
    #expect(error.hasPrefix("unsupported: a stream: layer \""))
    // The field or type that says so, or what an attention lacks.
    let reason = String(try #require(error.split(separator: "needs the whole sequence first (").last?.dropLast()))
    let ofAttention = ["its window says how many steps a stream keeps, and it has none", "it is not causal"]
    #expect(example.layers.contains("'\(reason)'") || ofAttention.contains(reason), "\(reason)")
  }

  /// A state taken out and put into another stream goes on with the same bits; a reset is a new stream.
  @Test(arguments: examples.filter(\.canStream), kernelSets())
  func stateIsWhole(_ example: Example, _ kernels: Kernels) throws {
    let model = try example.model(.wide, kernels)
    let steps = try steps(6, for: model)
    let stream = try LSTMModels.Stream.make(model)
    func run(_ stream: LSTMModels.Stream, _ range: Range<Int>) throws -> [UInt32] {
      let y = Numbers([Float](repeating: .nan, count: range.count * stream.outputs))
      stream.process(range.count, steps[range].flatMap { $0 }, y.start)
      return bits(y.values)
    }
    let first = try run(stream, 0..<3)
    let state = Numbers([Float](repeating: .nan, count: stream.stateCount))
    stream.copyState(to: state.start)
    let expected = try run(stream, 3..<steps.count)
    let other = try LSTMModels.Stream.make(model)
    _ = try run(other, 1..<2)
    other.restoreState(from: state.start)
    #expect(try run(other, 3..<steps.count) == expected)
    other.reset()
    #expect(try run(other, 0..<3) == first)
    // Nothing lies in between.
    let numbers = model.blocks.reduce(0) { $0 + stateCount(of: $1, model, example) }
    #expect(stream.stateCount == numbers + example.stateNumbers)
  }

  /// The numbers that a layer carries from step to step.
  private func stateCount(of block: Model.Block, _ model: Model, _ example: Example) -> Int {
    let units = model.stages[block.stages.upperBound - 1].outputWidth
    switch block.type.text {
    case "gru", "simple_rnn", "min_gru", "min_lstm": return units
    case "lstm":
      guard
        let weights = model.stages[block.stages.lowerBound].parameters.first(where: {
          $0.name.hasSuffix("recurrent_weights")
        })
      else { return 0 }
      return weights.shape[0] + weights.shape[1] / (example.layers.contains("coupled_gates") ? 3 : 4)
    case "slstm": return 4 * units
    case "mlstm":
      let heads = [2, 3].first { example.layers.contains("'heads': \($0)") } ?? 1
      let values = example.layers.contains("'output_gate': false") ? units : 2 * units
      let keys = (model.stages[block.stages.lowerBound].outputWidth - values - 2 * heads) / 2
      return units + units * keys / heads + keys + heads
    default:
      return model.stages[block.stages].reduce(0) { (sum, stage) in
        guard let core = (stage as? AttentionLayer)?.core, let window = core.window else { return sum }
        return sum + core.stateCount(window)
      }
    }
  }

  @Test func badStatesAndTokensAreRefusedWhole() throws {
    let tokens = "{'layers': [{'type': 'embedding', 'vocabulary': 5, 'units': 2}, {'type': 'lstm', 'units': 3}]}"
    let stream = try LSTMModels.Stream.make(try makeModel(tokens))
    let y = Numbers([Float](repeating: 7, count: 9))
    for (bad, spoken) in [(Float(5), "5"), (-1, "-1"), (1.5, "1.5"), (.nan, "nan"), (.infinity, "inf")] {
      let error = argumentError { try stream.checkTokens([1, bad, 2], count: 3) }
      #expect(error == "x[1]: expected a token from 0 to 4, got \(spoken)")
    }
    let fresh = try LSTMModels.Stream.make(try makeModel(tokens))
    #expect(
      argumentError { try stream.checkState([0, 0, .infinity, 0, 0, 0]) }
        == "state[2]: expected a finite number, got inf")
    stream.process(3, [1, 4, 2], y.start)
    let expected = Numbers([Float](repeating: 0, count: 9))
    fresh.process(3, [1, 4, 2], expected.start)
    #expect(bits(y.values) == bits(expected.values))
  }
}
