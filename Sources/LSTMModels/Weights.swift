internal import LSTMKernels
internal import LSTMLayers
public import LSTMTensors
internal import Synchronization

/// The numbers of a model: all parameters, laid out by its plan, and the same packed for passes.
public final class Weights {
  public let parameters: Buffer
  let packed: Buffer
  /// Another one after each change.
  var version = 0
  /// Calls that read them just now, if they are counted.
  let readers = Atomic<Int>(0)

  init(parameters: Buffer, packed: Buffer) { (self.parameters, self.packed) = (parameters, packed) }
}

/// The weights that one call reads from its beginning to its end, whatever is published meanwhile.
public struct PinnedWeights: BitwiseCopyable {
  /// The address of the weights, and `counted`.
  let word: UInt
  /// The bit that says that calls are counted.
  static let counted: UInt = 1

  /// Their address, the same as long as it is the same weights.
  var address: UInt { word & ~PinnedWeights.counted }
  var isCounted: Bool { word & PinnedWeights.counted != 0 }

  /// No weights.
  static var none: PinnedWeights { PinnedWeights(word: 0) }

  /// Valid until `unpin`. Without counting references, which all threads would share.
  @inline(__always) var reference: Unmanaged<Weights> {
    // It is asked of what `pin` gave alone, where the address is that of an object.
    .fromOpaque(UnsafeRawPointer(bitPattern: address)!)
  }
  public var weights: Weights { reference.takeUnretainedValue() }

  @inline(__always) init(word: UInt) { self.word = word }
  init(_ weights: Weights, isCounted: Bool) {
    word = UInt(bitPattern: Unmanaged.passUnretained(weights).toOpaque()) | (isCounted ? PinnedWeights.counted : 0)
  }
}

extension WeightsDistance {
  init(from old: Weights, to new: Weights) {
    self.init(
      parameters: new.parameters.floats - old.parameters.floats, packed: new.packed.floats - old.packed.floats)
  }
}

extension Model {
  /// Those of today. Whoever has the model to itself may change them.
  public var currentWeights: Weights { PinnedWeights(word: current.load(ordering: .acquiring)).weights }
  /// Likewise: all parameters, laid out by `plan`.
  public var parameters: Buffer { currentWeights.parameters }

  /// Begins a call that only reads; `unpin` ends it. Takes no lock and waits for nobody. Unless weights are published, this
  /// is the reading of one number.
  @inline(__always) public func pin() -> PinnedWeights {
    let word = current.load(ordering: .acquiring)
    return word & PinnedWeights.counted == 0 ? PinnedWeights(word: word) : pinCounted()
  }

  /// Whoever publishes looks at the count after it has replaced the weights, and here the weights are looked at after they
  /// are counted: so one of the two sees the other.
  @inline(never) private func pinCounted() -> PinnedWeights {
    while true {
      let pinned = PinnedWeights(word: current.load(ordering: .acquiring))
      pinned.reference._withUnsafeGuaranteedRef { _ = $0.readers.wrappingAdd(1, ordering: .sequentiallyConsistent) }
      if current.load(ordering: .sequentiallyConsistent) == pinned.word { return pinned }
      unpin(pinned)
    }
  }

  /// Whether calls read these weights, and are not counted.
  @inline(__always) func reads(_ pinned: PinnedWeights) -> Bool { current.load(ordering: .acquiring) == pinned.word }

  @inline(__always) public func unpin(_ pinned: PinnedWeights) {
    guard pinned.isCounted else { return }
    pinned.reference._withUnsafeGuaranteedRef { _ = $0.readers.wrappingSubtract(1, ordering: .releasing) }
  }
}
