public import LSTMKernels
public import LSTMTensors

/// What makes the signals of a model, and which of them its stages read. The model's inputs come first, then what its stages
/// make.
public final class Wiring {
  /// What makes a signal.
  public struct Maker: BitwiseCopyable {
    /// nil: it is an input of the model.
    public let stage: Int?
    /// Of a stage's outputs: 0 is what `forward` writes, those behind it are its states. Of the model's inputs its number.
    public let port: Int
  }

  private let makers = List<Maker>()
  /// What comes out of each stage.
  private let outputs = List<Int>()
  private let signals = List<Int>()
  /// Where those of a stage begin among `signals`.
  private let starts = List<Int>()

  public init() {}

  /// - Returns: the signal of the model's next input.
  public func addInput() throws(LSTMError) -> Int {
    try makers.append(Maker(stage: nil, port: makers.count))
    return makers.count - 1
  }

  /// The next stage, which reads these signals.
  func append(_ inputs: [Int]) throws(LSTMError) {
    try starts.append(signals.count)
    for signal in inputs { try signals.append(signal) }
    try outputs.append(makers.count)
    try makers.append(Maker(stage: outputs.count - 1, port: 0))
  }

  /// The signal of one of the states of a stage, which from now on something reads.
  public func state(_ port: Int, of stage: Int) throws(LSTMError) -> Int {
    if let known = signal(stage, port) { return known }
    try makers.append(Maker(stage: stage, port: port))
    return makers.count - 1
  }

  /// What comes out of a stage at a port, if anything reads it.
  public func signal(_ stage: Int, _ port: Int) -> Int? {
    for i in 0..<makers.count where makers[i].stage == stage && makers[i].port == port { return i }
    return nil
  }

  /// All signals.
  public var signalCount: Int { makers.count }
  public func maker(of signal: Int) -> Maker { makers[signal] }
  /// What comes out of a stage.
  public func output(of stage: Int) -> Int { outputs[stage] }

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
  /// way back; the gradients of the others are added to its own.
  public func isFirstBack(_ input: Int) -> Bool {
    var stage = 0
    while range(of: stage).upperBound <= input { stage += 1 }
    let own = range(of: stage)
    for other in own.lowerBound..<input where signals[other] == signals[input] { return false }
    for other in own.upperBound..<signals.count where signals[other] == signals[input] { return false }
    return true
  }

  /// How many stages read a signal.
  public func readers(of signal: Int) -> Int {
    var count = 0
    for i in 0..<signals.count where signals[i] == signal { count += 1 }
    return count
  }

  /// Whether the stages read one another in a row.
  public var isChain: Bool {
    if makers.count != outputs.count + 1 { return false }
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
