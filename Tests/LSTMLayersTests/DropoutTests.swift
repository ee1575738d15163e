import Foundation
import LSTMKernels
import LSTMModels
import LSTMTestSupport
import LSTMTensors
import Testing

@Suite struct DropoutTests {
  private static let features = 101
  private static let rows = 211

  private func model(_ layers: String, seed: Int = 0, _ kernels: Kernels = fastestKernels) throws -> Model {
    try makeModel("{'input_shape': [\(Self.features)], 'seed': \(seed), 'layers': [\(layers)]}", kernels)
  }

  private func ones() -> Sample {
    Sample.numbers([Float](repeating: 1, count: Self.rows * Self.features), Shape(Self.rows, Self.features))
  }

  private func trained(_ model: Model) throws -> [Float] { try Chain(model, ones()).forward() }

  /// Each number is 0 or 1 / (1 - rate), and so many are 0 as a coin of that rate gives, within five deviations; so that
  /// the mean stays what it was.
  @Test(arguments: [0, 0.1, 0.5, 0.9, 0.999], kernelSets())
  func dropsAShare(_ rate: Double, _ kernels: Kernels) throws {
    let y = try trained(model("{'type': 'dropout', 'rate': \(rate)}", kernels))
    let scaled = Float(1 / (1 - rate))
    #expect(y.allSatisfy { $0 == 0 || $0 == scaled })
    let dropped = Double(y.count { $0 == 0 })
    let count = Double(y.count)
    #expect(abs(dropped - rate * count) <= 5 * (rate * (1 - rate) * count).squareRoot())
  }

  /// What falls in one column says nothing of its neighbour: both fall as often as chance has it.
  @Test func neighboursFallIndependently() throws {
    let y = try trained(model("{'type': 'dropout', 'rate': 0.5}"))
    for distance in [1, 2, 3, 4, Self.features] {
      let both = (distance..<y.count).count { y[$0] == 0 && y[$0 - distance] == 0 }
      let count = Double(y.count - distance)
      #expect(abs(Double(both) - count / 4) <= 5 * (count * 3 / 16).squareRoot(), "\(distance)")
    }
  }

  /// The mask depends on the seed, the place of the layer and the step of training.
  @Test func maskFollowsSeedPlaceAndStep() throws {
    let layer = "{'type': 'dropout', 'rate': 0.5}"
    let first = try trained(model(layer))
    #expect(try trained(model(layer)) == first)
    #expect(try trained(model(layer, seed: 1)) != first)
    let later = try model(layer)
    later.training.step = 1
    #expect(try trained(later) != first)
    // With the same mask twice, as many would fall as with one.
    let twice = try trained(model(layer + "," + layer)).count { $0 == 0 }
    let count = Double(first.count)
    #expect(abs(Double(twice) - 0.75 * count) <= 5 * (0.75 * 0.25 * count).squareRoot())
  }

  /// The gradient goes where the numbers went, with the same factor.
  @Test func backwardHasTheSameMask() throws {
    let model = try model("{'type': 'dropout', 'rate': 0.3}")
    let chain = try Chain(model, ones())
    let y = chain.forward()
    try chain.backward([Float](repeating: 1, count: y.count))
    #expect(Array(UnsafeBufferPointer(start: chain.inputGradient.floats, count: y.count)) == y)
  }

  @Test func predictionDropsNothing() throws {
    let model = try model("{'type': 'dropout', 'rate': 0.9}")
    let y = try model.predicted(ones())
    #expect(y.allSatisfy { $0 == 1 })
  }

  /// In a recurrent layer all steps of a sequence lose the same inputs: with these weights an output is the number of
  /// steps that saw its input, times 1 / (1 - rate).
  @Test func recurrentDropoutIsTheSameAtAllSteps() throws {
    let (units, steps, rows) = (7, 5, 41)
    let model = try makeModel(
      "{'input_shape': [null, \(units)], 'layers': [{'type': 'lstm', 'units': \(units), 'dropout': 0.4,"
        + "'activation': 'linear', 'recurrent_activation': 'linear', 'return_sequences': true}]}")
    // Gates i, f and o are 1 by their bias; g is the input.
    var weights = [Float](repeating: 0, count: model.plan.count)
    let (input, bias) = (model.plan.entries[0].offset, model.plan.entries[2].offset)
    for unit in 0..<units {
      weights[input + unit * 4 * units + 2 * units + unit] = 1
      for gate in [0, 1, 3] { weights[bias + gate * units + unit] = 1 }
    }
    model.setWeights(weights)
    let sample = Sample.numbers([Float](repeating: 1, count: rows * steps * units), Shape(rows, steps, units))
    let y = try Chain(model, sample).forward()
    let keep = Float(1 / (1 - 0.4))
    var kept = 0
    for i in 0..<rows * units {
      let isKept = y[i] != 0
      kept += isKept ? 1 : 0
      var sum: Float = 0
      for step in 0..<steps {
        sum += isKept ? keep : 0
        #expect(y[step * rows * units + i] == sum)
      }
    }
    let count = Double(rows * units)
    #expect(abs(Double(kept) - 0.6 * count) <= 5 * (0.24 * count).squareRoot())
    let predicted = try model.predicted(sample)
    #expect(predicted.max() == Float(steps))
  }
}
