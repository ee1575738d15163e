public import LSTMDescription
public import LSTMKernels
public import LSTMTensors

/// What a pass is for: it decides what a layer must keep.
public enum Mode: Sendable {
  case predict
  /// Keeps what `backward` needs; dropout is at work.
  case train
  /// One step of one sequence, with the state in between.
  case stream
}

/// A batch on its way through the layers: `[steps, batch, width]`, time first. Samples without a time axis have one step.
public struct Signal {
  public var values: MutableFloats
  /// Instead of values: `[steps, batch]` token indices, checked against `Flow.tokens`.
  public var tokens: UnsafePointer<Int32>?
  /// `[steps, batch]`; 0 is padding. nil: there is none.
  public var mask: UnsafePointer<UInt8>?
  public let steps: Int
  public let batch: Int
  /// Numbers in one step of one row: the product of all axes after time.
  public let width: Int

  public init(
    values: MutableFloats, tokens: UnsafePointer<Int32>? = nil, mask: UnsafePointer<UInt8>? = nil, steps: Int,
    batch: Int, width: Int
  ) {
    (self.values, self.tokens, self.mask) = (values, tokens, mask)
    (self.steps, self.batch, self.width) = (steps, batch, width)
  }

  public var rows: Int { steps * batch }
  public var count: Int { steps * batch * width }
}

/// What one layer is given besides its signals, for one pass.
public struct Pass {
  public let kernels: Kernels
  public let mode: Mode
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

  public init(
    kernels: Kernels, mode: Mode, weights: Floats, packed: Floats, packedBackward: Floats?, workspace: MutableFloats,
    state: MutableFloats?, random: RandomSequence
  ) {
    (self.kernels, self.mode, self.weights, self.packed) = (kernels, mode, weights, packed)
    (self.packedBackward, self.workspace, self.state, self.random) = (packedBackward, workspace, state, random)
  }
}

/// One layer of a model: equations, forward and backward, on a batch.
///
/// A layer keeps nothing between passes, so any number of threads may use it at once; what a pass needs lies in the
/// workspace that the caller owns, as large as `workspaceCount` says. Sizes are checked before: nothing here can fail.
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

  /// Steps of the output for so many of the input.
  open func outputSteps(_ steps: Int) -> Int { steps }

  /// Whether step t of the output needs nothing after step t of the input.
  open var isCausal: Bool { true }

  /// Whether padding at the end may be cut off without changing the other outputs or their places.
  open var allowsTrimming: Bool { true }

  /// Floats of state between two steps of a stream, and how many of them, from the start of each piece, have a meaning.
  open func statePieces(_ kernels: Kernels) -> [(count: Int, meaningful: Int)] { [] }

  /// Floats of packed weights.
  open func packedCount(_ kernels: Kernels) -> Int { 0 }
  open func pack(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels) {}

  /// Floats of weights packed for `backward`.
  open func packedBackwardCount(_ kernels: Kernels) -> Int { 0 }
  open func packBackward(_ weights: Floats, into packed: MutableFloats, _ kernels: Kernels) {}

  /// Floats of workspace for a pass of this size.
  open func workspaceCount(steps: Int, batch: Int, _ mode: Mode, _ kernels: Kernels) -> Int { 0 }

  /// Whether the output's mask differs from the input's.
  open var changesMask: Bool { false }

  /// The mask of the output; a layer that changes it writes it to `memory`, `[steps, batch]` bytes.
  open func outputMask(of x: Signal, _ memory: UnsafeMutablePointer<UInt8>) -> UnsafePointer<UInt8>? { x.mask }

  /// Writes y.values from x.
  open func forward(_ x: Signal, into y: Signal, _ pass: Pass) {}

  /// Adds to `gradients` (laid out as the parameters) and, unless dx is nil, writes the gradient with respect to x.
  ///
  /// - Parameters:
  ///   - x, y: as they were in `forward`, with the same workspace.
  ///   - dy: as y; it may be overwritten.
  ///   - dx: as x.values.
  open func backward(
    _ x: Signal, _ y: Signal, dy: MutableFloats, into dx: MutableFloats?, gradients: MutableFloats, _ pass: Pass
  ) {}

  /// Writes the layer's initial parameters. `random` gives each parameter numbers of its own by its index.
  open func initialize(_ weights: MutableFloats, _ random: (Int) -> RandomSequence, _ kernels: Kernels) {}

  /// For what is learned from data without gradients; nil if there is nothing.
  open func makeAdapter() throws(LSTMError) -> Adapter? { nil }

  /// Adds what was learned without gradients and is no parameter to the layer's description.
  open func describeLearned(_ writer: Writer) throws(LSTMError) {}
}

/// Learns from batch after batch, then writes parameters.
open class Adapter {
  public init() {}
  /// `x` is the layer's input; padding is to be left out.
  open func accumulate(_ x: Signal) {}
  open func finish(_ weights: MutableFloats) {}
}
