public import LSTMDescription
public import LSTMKernels
public import LSTMTensors

/// What a pass is for: it decides what a layer must keep.
public enum Mode: Sendable {
  case predict
  /// Keeps what `backward` needs; dropout is at work.
  case train
  /// Keeps what `backward` needs, but is otherwise as `predict`: nothing is dropped, and statistics are those learned.
  case differentiate
  /// One step of one sequence, with the state in between.
  case stream

  /// Whether what `backward` needs is kept.
  @inline(__always) public var keepsTape: Bool { self == .train || self == .differentiate }
}

/// A batch on its way through the layers, time first: `[steps, batch, width]`, or, when sequences have ended before the last
/// step, at each step only the rows that go on. Samples without a time axis have one step.
public struct Signal: BitwiseCopyable {
  public var values: MutableFloats
  /// Instead of values: token indices, checked against `Flow.tokens`.
  public var tokens: UnsafePointer<Int32>?
  /// One for each row of each step; 0 is padding. nil: there is none.
  public var mask: UnsafePointer<UInt8>?
  /// Where the rows of each step begin, and last their number: rows are sorted so that those of a step are the first of the
  /// batch. nil: all rows at all steps.
  public var starts: UnsafePointer<Int>?
  public let steps: Int
  public let batch: Int
  /// Numbers in one step of one row: the product of all axes after time.
  public let width: Int

  public init(values: MutableFloats, steps: Int, batch: Int, width: Int) {
    (self.values, self.steps, self.batch, self.width) = (values, steps, batch, width)
  }

  /// Rows of all steps.
  public var rows: Int { first(steps) }
  public var count: Int { rows * width }

  /// The rows before those of a step.
  @inline(__always) public func first(_ step: Int) -> Int { starts?[step] ?? step * batch }
  /// Writes where the steps of a row stand that are no padding; how many there are.
  public func validPlaces(_ row: Int, into places: UnsafeMutablePointer<Int>) -> Int {
    var count = 0
    for step in 0..<steps where row < rows(at: step) {
      let place = first(step) + row
      if let mask, mask[place] == 0 { continue }
      places[count] = place
      count += 1
    }
    return count
  }

  /// Calls `body` with step, row of the batch and place among the rows of all steps of all that is no padding.
  public func forEachValid(_ body: (_ step: Int, _ row: Int, _ place: Int) -> Void) {
    for step in 0..<steps {
      for row in 0..<rows(at: step) {
        let place = first(step) + row
        if mask.map({ $0[place] != 0 }) ?? true { body(step, row, place) }
      }
    }
  }

  /// The rows of a step.
  @inline(__always) public func rows(at step: Int) -> Int { starts.map { $0[step + 1] - $0[step] } ?? batch }
}

/// One worker's part in a pass that several make together: all run the same code, each on its share of units or rows, and
/// meet where one needs what another has made.
public struct Part {
  public let worker: Int
  public let workers: Int
  private let team: Team?
  /// Where they meet: all at 0, the two groups that `split` makes at 1 and 2.
  private let place: Int

  /// Alone.
  public static var whole: Part { Part(0, of: 1, nil) }

  /// Without a team the workers never meet.
  public init(_ worker: Int, of workers: Int, _ team: Team?) {
    self.init(worker: worker, workers: workers, team: team, place: 0)
  }

  private init(worker: Int, workers: Int, team: Team?, place: Int) {
    (self.worker, self.workers, self.team, self.place) = (worker, workers, team, place)
  }

  public var isFirst: Bool { worker == 0 }

  /// This worker's share of `count` things, in whole groups of `granule`.
  @inline(__always) public func range(of count: Int, by granule: Int = 1) -> Range<Int> {
    if workers == 1 { return 0..<count }
    let groups = (count + granule - 1) / granule
    return min(count, groups * worker / workers * granule)..<min(count, groups * (worker + 1) / workers * granule)
  }

  /// Returns when all workers of the part have called it.
  @inline(__always) public func meet() { if workers > 1 { team?.meet(workers, at: place) } }

  /// This worker's group of two, in which workers are counted from 0 again. nil: there are no two.
  public func split() -> (group: Int, part: Part)? {
    guard workers > 1, place == 0 else { return nil }
    let first = (workers + 1) / 2
    return worker < first
      ? (0, Part(worker: worker, workers: first, team: team, place: 1))
      : (1, Part(worker: worker - first, workers: workers - first, team: team, place: 2))
  }
}

/// What one layer is given besides its signals, for one pass.
public struct Pass {
  public let kernels: Kernels
  public var mode: Mode
  /// All parameters; a layer's own are at the offsets of its `parameters`.
  public let weights: Floats
  /// The layer's packed weights.
  public let packed: Floats
  /// The layer's weights packed for `backward`; in training only.
  public let packedBackward: Floats?
  /// The layer's workspace: what `forward` left there is there in `backward`.
  public let workspace: MutableFloats
  /// The layer's state, when streaming.
  public let state: MutableFloats?
  /// What dropout draws from.
  public let random: RandomSequence
  public let part: Part
  /// Where the layer's last states are wanted, `[batch, units]`, in the order of `stateNames`; in `backward` their
  /// gradients. nil: nobody reads that one.
  public var states: States = (nil, nil, nil, nil)
  public typealias States = (MutableFloats?, MutableFloats?, MutableFloats?, MutableFloats?)
  /// Where sequences go on and where they are left, laid out as the state of streams; nil: they begin and end here.
  public var carried: Carried?
  /// Steps that the state of a stream has room for, in a layer that needs to be told.
  public var window = 0
  /// Instead of inputs, which then are not read, when they are tokens' vectors: what `multiplyTokens` made of all of them.
  public var tokenProducts: Floats?

  public init(
    kernels: Kernels, mode: Mode, weights: Floats, packed: Floats, packedBackward: Floats?, workspace: MutableFloats,
    state: MutableFloats?, random: RandomSequence, part: Part
  ) {
    (self.kernels, self.mode, self.weights, self.packed) = (kernels, mode, weights, packed)
    (self.packedBackward, self.workspace, self.state, self.random) = (packedBackward, workspace, state, random)
    self.part = part
  }

  /// The same pass with other weights.
  func moved(_ distance: WeightsDistance) -> Pass {
    var pass = Pass(
      kernels: kernels, mode: mode, weights: weights + distance.parameters, packed: packed + distance.packed,
      packedBackward: packedBackward, workspace: workspace, state: state, random: random, part: part)
    (pass.states, pass.tokenProducts) = (states, tokenProducts)
    return pass
  }

  /// The same pass for a layer inside of this one, whose memory begins so much later.
  func inner(packed: Int, packedBackward: Int, workspace: Int, random: RandomSequence, part: Part) -> Pass {
    Pass(
      kernels: kernels, mode: mode, weights: weights, packed: self.packed + packed,
      packedBackward: self.packedBackward.map { $0 + packedBackward }, workspace: self.workspace + workspace,
      state: nil, random: random, part: part)
  }
}

/// The states of a batch whose sequences come in chunks, in a pass that keeps what `backward` needs. No gradient goes through
/// them.
public struct Carried: BitwiseCopyable {
  /// nil: the sequences begin here.
  public let from: Floats?
  /// For the states after the last step of each row.
  public let to: MutableFloats

  public init(from: Floats?, to: MutableFloats) { (self.from, self.to) = (from, to) }

  /// The same of a layer whose state begins so much later.
  public func advanced(by count: Int) -> Carried { Carried(from: from.map { $0 + count }, to: to + count) }
}

/// A layer's state between two steps of a stream, or one of its pieces: `blocks` times `lanes` floats, of which the first
/// `meaningful` are numbers of the state, the others padding. For several rows together it is `[blocks][rows][lanes]`.
public struct StatePiece {
  public let blocks: Int
  public let lanes: Int
  public let meaningful: Int

  public var count: Int { blocks * lanes }
}

/// One layer of a model: equations, forward and backward, on a batch.
///
/// A layer keeps nothing between passes, so any number of threads may use it at once; what a pass needs lies in the
/// workspace that the caller owns, as large as `workspaceCount` says. Sizes are checked before: nothing here can fail.
/// Several workers may make a pass together: each does the share that `pass.part` gives it, and before a layer begins all
/// have finished the one before. No result depends on their number.
open class Layer {
  public let name: String
  /// Of one sample.
  public let outputShape: Shape
  /// The layer's own, in the order in which it declared them.
  public let parameters: [Parameter]

  public init(name: String, outputShape: Shape, parameters: [Parameter] = []) {
    (self.name, self.outputShape, self.parameters) = (name, outputShape, parameters)
  }

  /// Numbers in one step of one row of the output.
  public final var outputWidth: Int {
    var width = 1
    for axis in (outputShape.rank > 1 ? 1 : 0)..<outputShape.rank { width = Carver.product(width, outputShape[axis]) }
    return width
  }

  /// What other layers may read beside the output: the states behind the last step of each sequence.
  open var stateNames: [StaticString] { [] }
  open var stateCount: Int { 0 }
  /// Numbers in one of them.
  open func stateWidth(_ i: Int) -> Int { 0 }

  /// Whether an input's steps are those of the layer's first input.
  open func readsSteps(of input: Int) -> Bool { true }

  /// Steps of the output for so many of the input.
  open func outputSteps(_ steps: Int) -> Int { steps }

  /// How many steps an input may have.
  open var acceptedSteps: ClosedRange<Int> { 1...Int.max }

  /// Whether step t of the output belongs to step t of the input.
  open var keepsTime: Bool { true }

  /// Why step t of the output needs what comes after step t of the input: the field or type that says so. nil: it does not.
  open var needsFuture: StaticString? { nil }

  /// Whether padding at the end may be cut off without changing the other outputs or their places.
  open var allowsTrimming: Bool { true }

  /// Whether outputs at the padding behind a sequence are those of its last step.
  open var carriesState: Bool { false }

  /// What is kept between two steps of a stream.
  open func statePieces(_ kernels: Kernels) -> [StatePiece] { [] }

  /// Writes the state that sequences begin with into a stream's state of zeros.
  open func writeStart(_ weights: Floats, into state: MutableFloats) {}

  /// Floats of packed weights.
  open func packedCount(_ kernels: Kernels) -> Int { 0 }
  /// Packs the share of `part`.
  open func pack(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {}

  /// Floats for each token of what `multiplyTokens` makes; 0 where it makes nothing.
  open func tokenProductsWidth(_ kernels: Kernels) -> Int { 0 }
  /// Writes what the layer would make first of each of `count` tokens' vectors, whatever comes before it in a sequence.
  open func multiplyTokens(
    _ count: Int, _ vectors: Floats, packed: Floats, into products: MutableFloats, _ kernels: Kernels
  ) {}

  /// Whether anything that reaches the layer is trained. If not, nobody asks for the gradient of its input, and the weights
  /// that only this takes need not be packed. Set when the model is made.
  open var hasTrainedInput = true

  /// Floats of weights packed for `backward`.
  open func packedBackwardCount(_ kernels: Kernels) -> Int { 0 }
  open func packBackward(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels, _ part: Part) {}

  /// Floats of workspace for a pass of this size.
  open func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int { 0 }

  /// Whether the inputs behind the first may have another number of timesteps than it, all of them the same.
  open var joinsSequences: Bool { false }

  /// The workspace where the last input has so many other steps.
  open func workspaceCount(steps: Int, otherSteps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int {
    workspaceCount(steps: steps, batch: batch, mode, kernels)
  }

  /// Whether the output's mask differs from the input's.
  open var changesMask: Bool { false }

  /// The mask of the output; a layer that changes it writes it to `memory`, a byte for each row.
  open func outputMask(of x: Signal, _ memory: UnsafeMutablePointer<UInt8>) -> UnsafePointer<UInt8>? { x.mask }

  /// The same of several inputs.
  open func outputMask(of xs: Inputs, _ memory: UnsafeMutablePointer<UInt8>) -> UnsafePointer<UInt8>? {
    outputMask(of: xs[0], memory)
  }

  // What is said of one input below, a layer that takes several says of all of them.

  /// Writes y.values from its inputs.
  open func forward(_ xs: Inputs, into y: Signal, _ pass: Pass) { forward(xs[0], into: y, pass) }

  open func backward(
    _ xs: Inputs, _ y: Signal, dy: MutableFloats, into dxs: InputGradients, gradients: MutableFloats, _ pass: Pass
  ) {
    backward(xs[0], y, dy: dy, into: dxs[0], gradients: gradients, pass)
  }

  open func prepareStep(_ xs: Inputs, into y: Signal, _ pass: Pass) -> LayerStep {
    xs.count == 1 ? prepareStep(xs[0], into: y, pass) : JoiningStep(self, xs, y, pass)
  }

  /// What `forward` does with these signals, again and again, in memory that stays where it is.
  open func prepareStep(_ x: Signal, into y: Signal, _ pass: Pass) -> LayerStep { PlainStep(self, x, y, pass) }

  /// Writes y.values from x.
  open func forward(_ x: Signal, into y: Signal, _ pass: Pass) {}

  /// Adds to `gradients` (laid out as the parameters) and, unless dx is nil, writes the gradient with respect to x.
  ///
  /// - Parameters:
  ///   - x, y: as they were in `forward`, with the same workspace.
  ///   - dy: as y; it may be overwritten.
  ///   - dx: as x.values; where `allowsGradientInPlace`, it may begin where dy or x.values does.
  open func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {}

  /// Whether dx may take the place of dy or x: nothing of them is read there after a number of dx has been written.
  open var allowsGradientInPlace: Bool { false }

  /// Whether the gradient reaches few rows of a large table: `backward` then does nothing, and `addRows` what it should.
  open var hasSparseGradient: Bool { false }

  /// Adds to the gradients of some rows of the table, in the order of the batch.
  open func addRows(_ rows: Range<Int>, _ x: Signal, dy: Floats, gradients: MutableFloats, _ kernels: Kernels) {}

  /// Writes the layer's initial parameters. `random` gives each parameter numbers of its own by its index.
  open func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {}

  /// Whether what it does in training depends on the whole batch, which then goes through the model together.
  open var needsWholeBatch: Bool { false }

  /// After a step of training on a batch of this size: changes weights that have no gradient. `workspace` is as `forward`
  /// and `backward` left it.
  open func adjust(_ weights: MutableFloats, _ workspace: MutableFloats, steps: Int, batch: Int) {}

  /// For what is learned from data without gradients; nil if there is nothing.
  open func makeAdapter() throws(LSTMError) -> Adapter? { nil }

  /// Where the scores lie by which the layer decides, if its outputs are the decisions of a linear chain over its input. They
  /// have no gradient: a loss then begins at the input, and makes the gradient of the scores too.
  open var chain: ChainPlaces? { nil }

  /// What can be looked at inside of the layer, beside its output.
  open var insides: [StaticString] { [] }
  /// The shape of one sample of that: of a layer whose first input has so many steps and whose last so many.
  open func insideShape(_ i: Int, steps: Int, otherSteps: Int) -> Shape { Shape() }
  /// After `forward` in a mode that keeps the tape: writes what was there at the steps that are no padding.
  ///
  /// - Parameters:
  ///   - shape: that of one sample, perhaps of more steps than the signals have.
  ///   - sample: where the numbers of a row of the batch go; they are zero.
  open func writeInside(
    _ i: Int, _ xs: Inputs, _ y: Signal, _ pass: Pass, shape: Shape, to sample: (Int) -> MutableFloats
  ) {}

  /// Adds what was learned without gradients and is no parameter to the layer's description.
  open func describeLearned(_ writer: Writer) throws(LSTMError) {}
}

/// One layer's part of a stream's step, with all that stays the same from step to step prepared.
open class LayerStep {
  public init() {}
  open func run() {}
  /// Turns to other weights of the same model.
  open func move(_ distance: WeightsDistance) {}
}

/// How far it is, in floats, from some weights of a model to others.
public struct WeightsDistance: BitwiseCopyable {
  let parameters: Int
  let packed: Int

  public init(parameters: Int, packed: Int) { (self.parameters, self.packed) = (parameters, packed) }
}

/// What any layer of one input does.
private final class PlainStep: LayerStep {
  private let layer: Layer
  private let x: Signal
  private let y: Signal
  private var pass: Pass

  init(_ layer: Layer, _ x: Signal, _ y: Signal, _ pass: Pass) {
    (self.layer, self.x, self.y, self.pass) = (layer, x, y, pass)
  }

  override func run() { layer.forward(x, into: y, pass) }
  override func move(_ distance: WeightsDistance) { pass = pass.moved(distance) }
}

/// What any layer of several inputs does.
final class JoiningStep: LayerStep {
  private let layer: Layer
  private let xs: Inputs
  private let y: Signal
  private var pass: Pass

  init(_ layer: Layer, _ xs: Inputs, _ y: Signal, _ pass: Pass) {
    (self.layer, self.xs, self.y, self.pass) = (layer, xs, y, pass)
  }

  override func run() { layer.forward(xs, into: y, pass) }
  override func move(_ distance: WeightsDistance) { pass = pass.moved(distance) }
}

/// Learns from batch after batch, then writes parameters.
open class Adapter {
  public init() {}
  /// `x` is the layer's input; padding is to be left out.
  open func accumulate(_ x: Signal) {}
  open func finish(_ weights: MutableFloats) {}
}
