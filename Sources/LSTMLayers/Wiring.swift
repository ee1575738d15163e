public import LSTMKernels
internal import LSTMTensors

/// Which signals the stages of a model read. Signal 0 is the model's input, signal i + 1 what comes out of stage i.
public final class Wiring {
  private let signals = List<Int>()
  /// Where those of a stage begin among `signals`.
  private let starts = List<Int>()

  public init() {}

  /// Of the next stage.
  func append(_ inputs: [Int]) throws(LSTMError) {
    try starts.append(signals.count)
    for signal in inputs { try signals.append(signal) }
  }

  /// Inputs of all stages.
  public var count: Int { signals.count }

  /// Those of a stage, among those of all stages.
  public func range(of stage: Int) -> Range<Int> {
    starts[stage]..<(stage + 1 < starts.count ? starts[stage + 1] : signals.count)
  }

  public func inputs(of stage: Int) -> UnsafeBufferPointer<Int> {
    let range = range(of: stage)
    return UnsafeBufferPointer(start: UnsafePointer(signals.start) + range.lowerBound, count: range.count)
  }

  /// Whether of all that read the same signal this one, of those of all stages, is the first to give it a gradient on the
  /// way back through the stages before `end`; the gradients of the others are added to its own.
  public func isFirstBack(_ input: Int, before end: Int) -> Bool {
    let own = range(of: end - 1).upperBound
    var stage = 0
    while range(of: stage).upperBound <= input { stage += 1 }
    for other in range(of: stage).lowerBound..<input where signals[other] == signals[input] { return false }
    for other in range(of: stage).upperBound..<max(own, range(of: stage).upperBound)
    where signals[other] == signals[input] { return false }
    return true
  }

  /// How many stages read a signal.
  public func readers(of signal: Int) -> Int {
    var count = 0
    for i in 0..<signals.count where signals[i] == signal { count += 1 }
    return count
  }

  /// Whether each stage reads what the one before it makes, and nothing else.
  public var isChain: Bool {
    for stage in 0..<starts.count where inputs(of: stage).count != 1 || inputs(of: stage)[0] != stage { return false }
    return true
  }
}

/// The signals that reach a layer.
public struct Inputs {
  private let signals: UnsafePointer<Signal>
  private let places: UnsafeBufferPointer<Int>

  /// - Parameter places: those of the layer among `signals`.
  public init(_ signals: UnsafePointer<Signal>, _ places: UnsafeBufferPointer<Int>) {
    (self.signals, self.places) = (signals, places)
  }

  public var count: Int { places.count }
  @inline(__always) public subscript(i: Int) -> Signal { signals[places[i]] }
}

/// Where the gradients with respect to the signals that reach a layer are to be written.
public struct InputGradients {
  private let places: UnsafePointer<MutableFloats?>

  public init(_ places: UnsafePointer<MutableFloats?>) { self.places = places }

  /// nil: nobody asks for that one.
  @inline(__always) public subscript(i: Int) -> MutableFloats? { places[i] }
}
