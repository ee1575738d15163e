internal import LSTMKernels
internal import LSTMTensors

/// How a recurrent layer goes through time and where its outputs lie.
enum Direction {
  case forwards
  /// From the last step; the outputs of sequences are in the order in which they were made.
  case backwards
  /// From the last step; each output lies at the step that it belongs to.
  case backwardsInPlace
}

/// A layer that carries a state from step to step, and gives it away after each or after the last: what follows from that
/// alone.
class SequenceLayer: Layer {
  let units: Int
  let returnsSequences: Bool
  let direction: Direction

  init(
    name: String, outputShape: Shape, parameters: [Parameter], units: Int, returnsSequences: Bool, direction: Direction
  ) {
    (self.units, self.returnsSequences, self.direction) = (units, returnsSequences, direction)
    super.init(name: name, outputShape: outputShape, parameters: parameters)
  }

  override func outputSteps(_ steps: Int) -> Int { returnsSequences ? steps : 1 }
  override var keepsTime: Bool { returnsSequences }
  override var needsFuture: StaticString? { direction == .forwards ? nil : "go_backwards" }
  override var allowsTrimming: Bool { !(direction == .backwards && returnsSequences) }
  override var carriesState: Bool { true }

  override var changesMask: Bool { !allowsTrimming }

  override func outputMask(of x: Signal, _ memory: UnsafeMutablePointer<UInt8>) -> UnsafePointer<UInt8>? {
    guard returnsSequences, let mask = x.mask else { return nil }
    guard changesMask else { return mask }
    for step in 0..<x.steps {
      (memory + step * x.batch).copy(from: mask + (x.steps - 1 - step) * x.batch, count: x.batch)
    }
    return UnsafePointer(memory)
  }

  /// The input's timestep that is taken as step `step`, and the reverse.
  func timestep(_ step: Int, of steps: Int) -> Int { direction == .forwards ? step : steps - 1 - step }

  /// The first row of the outputs after a step, in a layer that returns sequences.
  func outputRow(_ step: Int, _ x: Signal) -> Int {
    direction == .backwards ? step * x.batch : x.first(timestep(step, of: x.steps))
  }
}

// Members that few layers have a say in are functions of all: one in the class would be a pointer in each layer's table.
extension Layer {
  /// Whether a pass goes by `Pass.carried`, of a layer that has pieces of state.
  public var canCarry: Bool { (self as? SequenceLayer)?.direction == .forwards }
}
