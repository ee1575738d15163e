import LSTMKernels
import LSTMLayers
import LSTMTestSupport
import Testing

/// Gradients against central differences of the sum of all outputs, each with a factor of its own.
///
/// The outputs are float32, so a difference quotient is wrong by rounding in proportion to 1/h, and by curvature in
/// proportion to h². Two quotients, of h and h/2, cancel that term (Richardson). What is left was measured over all
/// examples and kernels: at most 2.1e-5, with kinks and their smaller h 1.1e-4, of many numbers together 6.3e-5. The
/// tolerances are twice that. Where there are kinks, nine coordinates in ten and every other direction are clear of them.
@Suite struct GradientTests {
  @Test(arguments: examples.filter(\.hasGradient), kernelSets())
  func everyCoordinate(_ example: Example, _ kernels: Kernels) throws {
    let model = try example.model(.tiny, kernels)
    for padding in example.canPad ? Padding.allCases : [.none] {
      let probe = try Probe(Chain(model, example.sample(.tiny, for: model, padding)), example)
      var checked = 0
      var count = 0
      for variable in probe.variables {
        var worst = (error: 0.0, place: 0)
        for i in 0..<variable.count {
          count += 1
          let expected = Double(variable.gradient[i])
          let scale = max(1, abs(expected))
          let allowed = probe.tolerance * scale
          guard let slope = probe.slope(variable, scale, within: allowed, { $0 == i ? 1 : 0 }) else { continue }
          checked += 1
          let error = abs(slope - expected) / scale
          // Not a number is worse than any.
          if error.isNaN || error > worst.error { worst = (error, i) }
        }
        #expect(worst.error <= probe.tolerance, "\(variable.name)[\(worst.place)], \(padding)")
      }
      #expect(checked == count || (example.hasKinks && checked * 10 >= count * 9), "\(checked) of \(count)")
    }
  }

  @Test(arguments: examples.filter(\.hasGradient), kernelSets())
  func directions(_ example: Example, _ kernels: Kernels) throws {
    let model = try example.model(.wide, kernels)
    for padding in example.canPad ? Padding.allCases : [.none] {
      let probe = try Probe(Chain(model, example.sample(.wide, for: model, padding)), example)
      var random = Generator(3)
      var (checked, count) = (0, 0)
      for variable in probe.variables {
        let length = variable.gradient.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
        let along = variable.gradient.map { $0 / Float(max(length, 1e-30)) }
        let across = random.floats(variable.count).map { $0 / Float(variable.count).squareRoot() }
        for direction in [along, across] {
          count += 1
          let scale = max(1, length)
          let error = 3 * probe.tolerance * scale
          guard let slope = probe.slope(variable, scale, within: error, { direction[$0] }) else { continue }
          checked += 1
          let expected = zip(direction, variable.gradient).reduce(0) { $0 + Double($1.0) * Double($1.1) }
          #expect(abs(slope - expected) <= error, "\(variable.name), \(padding)")
        }
      }
      // So many numbers change together that now and then one of them crosses a kink.
      #expect(checked == count || (example.hasKinks && checked * 2 >= count), "\(checked) of \(count)")
    }
  }
}

/// Numbers that the loss depends on, and its gradient.
private struct Variable {
  let name: String
  let values: MutableFloats
  let count: Int
  let gradient: [Float]
}

private struct Probe {
  let chain: Chain
  let variables: [Variable]
  private let factors: [Float]
  private let hasKinks: Bool
  private let step: Float

  /// Of a slope, in proportion to it if it is over 1.
  var tolerance: Double { hasKinks ? 2.1e-4 : 4.2e-5 }

  init(_ chain: Chain, _ example: Example) throws {
    self.chain = chain
    hasKinks = example.hasKinks
    step = hasKinks ? 0x1p-8 : 0x1p-5
    var random = Generator(2)
    factors = random.floats(chain.outputCount).enumerated().map { chain.isValid(output: $0.offset) ? $0.element : 0 }
    _ = chain.forward()
    try chain.backward(factors)
    var variables = chain.model.plan.entries.filter(\.isTrainable).map { entry in
      Variable(
        name: entry.name, values: chain.weights.floats + entry.offset, count: entry.count,
        gradient: Array(UnsafeBufferPointer(start: chain.gradients.floats + entry.offset, count: entry.count)))
    }
    if case .values = chain.model.input {
      variables.append(
        Variable(
          name: "input", values: chain.input.floats, count: chain.inputCount,
          gradient: Array(UnsafeBufferPointer(start: chain.inputGradient.floats, count: chain.inputCount))))
    }
    self.variables = variables
  }

  private func loss() -> Double {
    zip(chain.forward(), factors).reduce(0) { $1.1 == 0 ? $0 : $0 + Double($1.0) * Double($1.1) }
  }

  /// The slope of the loss along a direction; nil where there is none to within `error`: with a kink within the larger h
  /// quotients of h and h/2 are not alike, or, where it is so near that they are, the bends, of which that of h/2 should be
  /// half; rounding is seven times as large in these.
  func slope(_ variable: Variable, _ scale: Double, within error: Double, _ direction: (Int) -> Float) -> Double? {
    let center = hasKinks ? loss() : 0
    let coarse = quotient(variable, direction, step, center)
    let fine = quotient(variable, direction, step / 2, center)
    let (difference, bend) = (abs(fine.slope - coarse.slope), abs(2 * fine.bend - coarse.bend))
    if hasKinks, difference > error / 2 || bend > 3 * tolerance * scale { return nil }
    return (4 * fine.slope - coarse.slope) / 3
  }

  /// The slope between both sides, and by how much one side's is more than the other's.
  private func quotient(
    _ variable: Variable, _ direction: (Int) -> Float, _ step: Float, _ center: Double
  ) -> (slope: Double, bend: Double) {
    let before = (0..<variable.count).map { variable.values[$0] }
    defer { variable.values.update(from: before, count: variable.count) }
    for i in 0..<variable.count { variable.values[i] = before[i] + step * direction(i) }
    let above = loss()
    for i in 0..<variable.count { variable.values[i] = before[i] - step * direction(i) }
    let below = loss()
    return ((above - below) / (2 * Double(step)), (above + below - 2 * center) / Double(step))
  }
}
