public import LSTMKernels

/// What a caller calls an array: "x", "options.validation_x", or of a list of arrays "data.x" and a number.
public struct ArrayName: ExpressibleByStringLiteral, BitwiseCopyable, Sendable {
  private let text: StaticString
  private let place: Int

  public init(stringLiteral text: StaticString) { self.init(text) }
  public init(_ text: StaticString, place: Int = -1) { (self.text, self.place) = (text, place) }

  public var spoken: Message { place < 0 ? "\(text)" : "\(text)[\(place)]" }
}

/// The arrays of a call behind the first of each kind, kept by an object that is called again and again.
public struct ArrayLists {
  public let x = List<ArrayView>()
  public let y = List<ArrayView>()
  public let weights = List<ArrayView>()

  public init() {}
}

/// Arrays of which each belongs to one input or output of a model: at least one.
public struct Arrays {
  private let first: ArrayView
  /// Those behind it.
  private let others: List<ArrayView>?

  public init(_ first: ArrayView, _ others: List<ArrayView>? = nil) { (self.first, self.others) = (first, others) }

  public var count: Int { 1 + (others?.count ?? 0) }
  @inline(__always) public subscript(i: Int) -> ArrayView {
    guard i > 0, let others else { return first }
    return others[i - 1]
  }

  /// Views of consecutive rows.
  public func slice(_ range: Range<Int>) throws(LSTMError) -> Arrays {
    guard let others else { return Arrays(first.slice(range)) }
    let sliced = List<ArrayView>()
    for i in 0..<others.count { try sliced.append(others[i].slice(range)) }
    return Arrays(first.slice(range), sliced)
  }

  /// Views of consecutive steps of those that have `count` of them; those behind the first are kept in a list.
  ///
  /// - Parameter chosen: a bit for each that may be meant.
  public func slice(
    steps: Range<Int>, of count: Int, _ chosen: UInt64 = .max, into list: List<ArrayView>
  ) throws(LSTMError) -> Arrays {
    func sliced(_ i: Int) -> ArrayView {
      let view = self[i]
      let hasSteps = view.shape.rank > 1 && view.shape[1] == count && chosen >> UInt64(i) & 1 == 1
      return hasSteps ? view.slice(steps: steps) : view
    }
    list.removeAll()
    for i in 1..<max(1, self.count) { try list.append(sliced(i)) }
    return Arrays(sliced(0), list)
  }
}

/// A caller's array, read in place: any of the element types, with strides in bytes and without alignment.
public struct ArrayView: BitwiseCopyable {
  public enum Element: Sendable, BitwiseCopyable {
    case float32, float64, int32, int64, uint8, string

    public var size: Int {
      switch self {
      case .float32, .int32: 4
      case .float64, .int64, .string: 8
      case .uint8: 1
      }
    }

    public var name: StaticString {
      switch self {
      case .float32: "float32"
      case .float64: "float64"
      case .int32: "int32"
      case .int64: "int64"
      case .uint8: "uint8"
      case .string: "string"
      }
    }
  }

  /// What the caller calls it, for messages.
  public let name: ArrayName
  public let element: Element
  public let data: UnsafeRawPointer
  public let shape: Shape
  /// In bytes.
  public let strides: Shape
  /// Those of the whole rows of the caller, checked; see `length`.
  public let lengths: UnsafePointer<Int64>?
  /// `shape[0]` rows of `maskRow` bytes; 0 is padding.
  public let mask: UnsafePointer<UInt8>?
  private let maskRow: Int
  /// Steps of the caller's array before those of this view.
  public let firstStep: Int

  public init(
    name: ArrayName, element: Element, data: UnsafeRawPointer, shape: Shape, strides: Shape,
    lengths: UnsafePointer<Int64>? = nil, mask: UnsafePointer<UInt8>? = nil, maskRow: Int? = nil, firstStep: Int = 0
  ) {
    (self.name, self.element, self.data, self.shape, self.strides) = (name, element, data, shape, strides)
    (self.lengths, self.mask, self.firstStep) = (lengths, mask, firstStep)
    self.maskRow = maskRow ?? (shape.rank > 1 ? shape[1] : 1)
  }

  public var rows: Int { shape[0] }
  public var isPadded: Bool { lengths != nil || mask != nil }

  /// Stands for an array that is not there.
  public static var none: ArrayView {
    ArrayView(
      name: "none", element: .float32, data: UnsafeRawPointer(bitPattern: 64)!, shape: Shape(), strides: Shape())
  }

  /// A view of consecutive rows.
  @inline(never) public func slice(_ range: Range<Int>) -> ArrayView {
    if shape.rank == 0 { return self }
    var shape = shape
    shape[0] = range.count
    return ArrayView(
      name: name, element: element, data: data + range.lowerBound &* strides[0], shape: shape, strides: strides,
      lengths: lengths.map { $0 + range.lowerBound }, mask: mask.map { $0 + range.lowerBound * maskRow },
      maskRow: maskRow, firstStep: firstStep)
  }

  /// A view of consecutive steps of all rows, of an array that has an axis of steps.
  @inline(never) public func slice(steps: Range<Int>) -> ArrayView {
    var shape = shape
    shape[1] = steps.count
    return ArrayView(
      name: name, element: element, data: data + steps.lowerBound &* strides[1], shape: shape, strides: strides,
      lengths: lengths, mask: mask.map { $0 + steps.lowerBound }, maskRow: maskRow,
      firstStep: firstStep + steps.lowerBound)
  }

  /// How many of a row's steps are no padding, if the caller says it.
  @inline(__always) public func length(_ row: Int) -> Int? {
    lengths.map { min(max(0, Int($0[row]) - firstStep), shape[1]) }
  }

  /// Whether step `step` of a row is no padding.
  @inline(__always) public func isValid(row: Int, step: Int) -> Bool {
    if let lengths { return step < Int(lengths[row]) - firstStep }
    if let mask { return mask[row * maskRow + step] != 0 }
    return true
  }

  /// The address of an element by its row and a byte offset inside of it.
  @inline(__always) func address(_ row: Int, _ offset: Int) -> UnsafeRawPointer {
    data + (row &* strides[0] &+ offset)
  }

  /// Reads steps of a row of tokens up to the first that is none; how many it read.
  ///
  /// - Parameter hasSteps: the array has an axis of steps; else there is one.
  public func readTokens(
    row: Int, steps: Range<Int>, limit: Int, into to: UnsafeMutablePointer<Int32>, _ kernels: Kernels,
    hasSteps: Bool = true
  ) -> Int {
    let stride = hasSteps ? strides[1] : 0
    let kind: UInt32 =
      switch element {
      case .float32: 1
      case .float64: 2
      case .int32: 3
      case .int64: 4
      case .uint8: 5
      case .string: 0
      }
    return kernels.readTokens(
      kind, steps.count, address(row, steps.lowerBound &* stride), stride: stride, limit: limit, to: to)
  }

  /// A number as Double (exact for all but 64-bit integers beyond 2^53).
  @inline(never) public func number(row: Int, offset: Int) -> Double {
    let p = address(row, offset)
    switch element {
    case .float32: return Double(p.loadUnaligned(as: Float.self))
    case .float64: return p.loadUnaligned(as: Double.self)
    case .int32: return Double(p.loadUnaligned(as: Int32.self))
    case .int64: return Double(p.loadUnaligned(as: Int64.self))
    case .uint8: return Double(p.loadUnaligned(as: UInt8.self))
    case .string: return .nan
    }
  }

  /// The numbers of one step of a row, all axes from `axis` on, as float32.
  public func copy(row: Int, offset: Int, axis: Int, count: Int, into to: MutableFloats) {
    if element == .float32, shape.rank == axis + 1, strides[axis] == 4 {
      UnsafeMutableRawPointer(to).copyMemory(from: address(row, offset), byteCount: count * 4)
      return
    }
    forEachInner(from: axis) { (k, inner) in to[k] = Float(number(row: row, offset: offset &+ inner)) }
  }

  public func string(row: Int) -> UnsafePointer<UInt8>? {
    address(row, 0).loadUnaligned(as: UnsafePointer<UInt8>?.self)
  }

  /// Calls `body` with the index of each inner element of one step (row-major) and its byte offset from that step's start.
  ///
  /// - Parameter axis: the first inner axis.
  @inline(never) public func forEachInner<E: Error>(from axis: Int, _ body: (Int, Int) throws(E) -> Void) throws(E) {
    if shape.rank <= axis { return try body(0, 0) }
    if shape.rank == axis + 1 {
      let stride = strides[axis]
      for i in 0..<shape[axis] { try body(i, i &* stride) }
      return
    }
    var index = Shape()
    for _ in axis..<shape.rank { index.append(0) }
    var position = 0
    var offset = 0
    while true {
      try body(position, offset)
      position += 1
      var k = shape.rank - 1
      while k >= axis {
        index[k - axis] += 1
        offset &+= strides[k]
        if index[k - axis] < shape[k] { break }
        offset &-= index[k - axis] &* strides[k]
        index[k - axis] = 0
        k -= 1
      }
      if k < axis { return }
    }
  }
}
