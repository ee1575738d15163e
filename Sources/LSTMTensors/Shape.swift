/// Up to eight extents, the slowest first. Of one sample, without the batch, an extent may be `any`.
public struct Shape: Sendable, BitwiseCopyable {
  public static let maxRank = 8
  /// An extent that is known only when data comes: the number of timesteps.
  public static let any = -1

  public private(set) var rank: Int
  private var extents: InlineArray<8, Int>

  public init() {
    rank = 0
    extents = InlineArray(repeating: 0)
  }

  public init(_ list: Int...) {
    self.init()
    for extent in list { append(extent) }
  }

  public subscript(axis: Int) -> Int {
    get {
      precondition(axis >= 0 && axis < rank)
      return extents[axis]
    }
    set {
      precondition(axis >= 0 && axis < rank)
      extents[axis] = newValue
    }
  }

  /// Up to the maximal rank, which callers check.
  @inline(never) public mutating func append(_ extent: Int) {
    precondition(rank < Shape.maxRank)
    extents[rank] = extent
    rank += 1
  }

  public var last: Int { self[rank - 1] }

  /// This shape with another last extent.
  @inline(never) public func replacingLast(_ extent: Int) -> Shape {
    var result = self
    result[rank - 1] = extent
    return result
  }

  @inline(never) public func prepending(_ extent: Int) -> Shape {
    var result = Shape()
    result.append(extent)
    for axis in 0..<rank { result.append(self[axis]) }
    return result
  }

  /// The product of the extents; all of them must be known.
  @inline(never) public func count() throws(LSTMError) -> Int {
    var product = 1
    for axis in 0..<rank { product = try Size.product(product, self[axis]) }
    return product
  }

  /// "(None, 120, 16)" as Keras prints it; `any` is None, and a single extent keeps its comma.
  @inline(never) public var text: String {
    var result = "("
    for axis in 0..<rank {
      if axis > 0 { result += ", " }
      result += self[axis] == Shape.any ? "None" : "\(self[axis])"
    }
    return result + (rank == 1 ? ",)" : ")")
  }
}

extension Shape: Equatable {
  @inline(never) public static func == (a: Shape, b: Shape) -> Bool {
    guard a.rank == b.rank else { return false }
    for axis in 0..<a.rank where a[axis] != b[axis] { return false }
    return true
  }
}
