public import CLSTMKernels

public typealias Floats = UnsafePointer<Float>
public typealias MutableFloats = UnsafeMutablePointer<Float>

// Small code is compiled without vectors, and then what the standard library does element by element is slow. By bytes
// it is a call of memset or memcpy.
extension UnsafeMutablePointer where Pointee: BitwiseCopyable {
  /// Zeros.
  @inline(__always) public func clear(_ count: Int) {
    let bytes = count * MemoryLayout<Pointee>.stride
    UnsafeMutableRawPointer(self).initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
  }

  /// From memory that may overlap.
  @inline(__always) public func copy(from: UnsafePointer<Pointee>, count: Int) {
    UnsafeMutableRawPointer(self).copyMemory(from: from, byteCount: count * MemoryLayout<Pointee>.stride)
  }
}

/// One set of kernels: the typed face of the C table.
///
/// Which instruction set a model uses is chosen when it is made, because its packed weights depend on `lanes`, and so is
/// the format of these.
/// - Source: the contract of each kernel stands in `lstm_kernels.h`.
public struct Kernels: Sendable {
  nonisolated(unsafe) let table: UnsafePointer<lstm_kernel_table>
  /// Floats in a vector.
  public let lanes: Int
  /// How weights are packed.
  public let weights: WeightFormat
  /// The name that the kernels want for 8-bit weights on this processor.
  let int8Code: UInt32

  private init(_ table: UnsafePointer<lstm_kernel_table>, _ weights: WeightFormat) {
    (self.table, self.weights) = (table, weights)
    lanes = table.pointee.lanes
    int8Code = weights == .int8 ? lstm_kernels_int8(table) : UInt32(LSTM_WEIGHTS_INT8)
  }

  /// The same set with another format of weights.
  public func packing(_ weights: WeightFormat) -> Kernels { Kernels(table, weights) }

  /// Whether the other set packs weights in the same way.
  public func packsAlike(_ other: Kernels) -> Bool { table == other.table && weights == other.weights }

  public enum Choice {
    case found(Kernels)
    /// A valid name, but this processor or build has no such set.
    case missing
    case unknown
  }

  /// The set of that name; "auto" is the best that the processor can run.
  public static func named(_ name: UnsafePointer<CChar>) -> Choice {
    var known: Int32 = 0
    if let table = lstm_kernels_named(name, &known) { return .found(Kernels(table, .float32)) }
    return known == 0 ? .unknown : .missing
  }

  /// Static, zero-terminated.
  public var name: UnsafePointer<CChar> { table.pointee.name }

  /// Columns in a panel: four vectors.
  public var panelWidth: Int { 4 * lanes }

  @inline(__always) public func product(_ p: inout lstm_product) { table.pointee.product(&p) }
  @inline(__always) public func lstmForward(_ p: inout lstm_cell_forward) { table.pointee.lstm_forward(&p) }
  @inline(__always) public func lstmBackward(_ p: inout lstm_cell_backward) { table.pointee.lstm_backward(&p) }
  @inline(__always) public func gruForward(_ p: inout lstm_cell_forward) { table.pointee.gru_forward(&p) }
  @inline(__always) public func gruBackward(_ p: inout lstm_cell_backward) { table.pointee.gru_backward(&p) }
  public func splitForward(_ p: inout lstm_cell_forward) { table.pointee.split_forward(&p) }
  public func splitBackward(_ p: inout lstm_cell_backward) { table.pointee.split_backward(&p) }
  public func outputForward(_ p: inout lstm_cell_forward) { table.pointee.output_forward(&p) }
  public func outputBackward(_ p: inout lstm_cell_backward) { table.pointee.output_backward(&p) }

  @inline(__always) public func minimalForward(_ p: inout lstm_scan) { table.pointee.minimal_forward(&p) }
  @inline(__always) public func minimalBackward(_ p: inout lstm_scan) { table.pointee.minimal_backward(&p) }
  @inline(__always) public func slstmForward(_ p: inout lstm_scan) { table.pointee.slstm_forward(&p) }
  @inline(__always) public func slstmBackward(_ p: inout lstm_scan) { table.pointee.slstm_backward(&p) }
  /// The gates of an mlstm's heads: `[4, count]`, the new, the old, 1 - σ(f) and e⁻ᵐ; m becomes that of the next step.
  public func exponentialGates(_ count: Int, _ i: Floats, _ f: Floats, _ m: MutableFloats, _ gates: MutableFloats) {
    table.pointee.exponential_gates(count, i, f, m, gates)
  }
  /// S = decay · S + a·bᵀ, then out = Sᵀ·w. Shapes: S [rows, columns]; a, w [rows]; b, out [columns].
  public func outer(
    rows: Int, columns: Int, decay: Float, _ a: Floats, _ b: Floats, _ w: Floats, _ s: MutableFloats,
    _ out: MutableFloats
  ) {
    table.pointee.outer(rows, columns, decay, a, b, w, s, out)
  }

  /// Rows of up to four vectors each, from columns of a matrix; the lanes past the valid ones are zero.
  func pack(
    rows: Int, vectors: Int, _ x: Floats, rowStride: Int, columns: InlineArray<4, Int>, valid: InlineArray<4, Int>,
    into out: MutableFloats
  ) {
    withUnsafeBytes(of: columns) { columns in
      withUnsafeBytes(of: valid) { valid in
        table.pointee.pack(
          rows, vectors, x, rowStride, columns.bindMemory(to: Int.self).baseAddress,
          valid.bindMemory(to: Int.self).baseAddress, out)
      }
    }
  }
  /// out[j, i] = in[i, j].
  public func transpose(rows: Int, columns: Int, _ x: Floats, inRow: Int, _ out: MutableFloats, outRow: Int) {
    table.pointee.transpose(rows, columns, x, inRow, out, outRow)
  }

  /// y = f(x); `y` may be `x`.
  public func activate(_ kind: UInt32, _ count: Int, _ x: Floats, _ y: MutableFloats) {
    table.pointee.activate(kind, count, x, y)
  }
  /// dx = dy · f′(x) with y = f(x); `dx` may be `dy`.
  public func activateBackward(
    _ kind: UInt32, _ count: Int, x: Floats, y: Floats, dy: Floats, dx: MutableFloats
  ) {
    table.pointee.activate_backward(kind, count, x, y, dy, dx)
  }
  public func softmax(rows: Int, width: Int, _ x: Floats, _ y: MutableFloats) {
    table.pointee.softmax(rows, width, x, y)
  }
  public func softmaxBackward(rows: Int, width: Int, y: Floats, dy: Floats, dx: MutableFloats) {
    table.pointee.softmax_backward(rows, width, y, dy, dx)
  }
  /// For each row p = softmax(x), its loss -ln p[label], and dx = weight · (p - 1 at the label). A row of weight 0 has
  /// none of these.
  public func softmaxCrossEntropy(
    rows: Int, width: Int, _ x: Floats, _ labels: UnsafePointer<Int32>, weights: Floats, dx: MutableFloats?,
    losses: UnsafeMutablePointer<Double>
  ) {
    table.pointee.softmax_cross_entropy(rows, width, x, labels, weights, dx, losses)
  }
  /// y = a · b elementwise; `y` may be either.
  public func multiply(_ count: Int, _ a: Floats, _ b: Floats, _ y: MutableFloats) {
    table.pointee.multiply(count, a, b, y)
  }
  /// y += x.
  public func add(_ count: Int, _ x: Floats, to y: MutableFloats) { table.pointee.add(count, x, y) }
  /// y = x where x is larger or NaN; there the bits of `index` go to `at`.
  public func maximum(_ count: Int, _ x: Floats, index: Int, to y: MutableFloats, at: MutableFloats?) {
    table.pointee.maximum(count, x, UInt32(truncatingIfNeeded: index), y, at)
  }
  /// y[i, j] = table[place[i], j].
  public func gather(_ count: Int, _ place: UnsafePointer<Int32>, width: Int, _ rows: Floats, to y: MutableFloats) {
    table.pointee.gather(count, place, width, rows, y)
  }
  /// Whole numbers from 0 to below `limit`, `stride` bytes apart, as they stand; stops at the first that is none.
  ///
  /// - Parameter element: LSTM_FLOAT32 and so on.
  /// - Returns: how many were read.
  public func readTokens(
    _ element: UInt32, _ count: Int, _ from: UnsafeRawPointer, stride: Int, limit: Int, to: UnsafeMutablePointer<Int32>
  ) -> Int {
    table.pointee.read_tokens(element, count, from, stride, Int32(limit), to)
  }
  /// Adds row i of x, `[count, width]`, to row `place[i]` of a table of which `out` holds `rows`, where that is one of
  /// them and the mask byte is not 0.
  public func scatterAdd(
    _ count: Int, _ place: UnsafePointer<Int32>, mask: UnsafePointer<UInt8>?, rows: Range<Int>, width: Int, _ x: Floats,
    to out: MutableFloats
  ) {
    table.pointee.scatter_add(count, place, mask, Int32(rows.lowerBound), rows.count, width, x, out)
  }
  public func scale(_ count: Int, by factor: Float, _ y: MutableFloats) { table.pointee.scale(count, factor, y) }
  /// y += factor · x.
  public func add(_ count: Int, _ factor: Float, times x: Floats, to y: MutableFloats) {
    table.pointee.add_scaled(count, factor, x, y)
  }
  /// To [-limit, limit].
  public func clamp(_ count: Int, limit: Float, _ y: MutableFloats) { table.pointee.clamp(count, limit, y) }
  public func dot(_ count: Int, _ a: Floats, _ b: Floats) -> Float { table.pointee.dot(count, a, b) }
  /// Not finite if any x is not.
  public func sumOfSquares(_ count: Int, _ x: Floats) -> Double { table.pointee.sum_squares(count, x) }
  /// out[j] += Σ x[row, j].
  public func addColumnSums(rows: Int, width: Int, _ x: Floats, rowStride: Int, to out: MutableFloats) {
    table.pointee.column_sums(rows, width, x, rowStride, out)
  }

  /// Each row: unit = (x - mean) / √(variance + epsilon), y = unit · gamma + beta; `scales` gets what x - mean was
  /// multiplied with. `unit` may be y, `y` and `unit` may be x.
  public func normalize(
    rows: Int, width: Int, epsilon: Float, _ x: Floats, gamma: Floats, beta: Floats, unit: MutableFloats,
    scales: MutableFloats?, _ y: MutableFloats
  ) {
    table.pointee.normalize_rows(rows, width, epsilon, x, gamma, beta, unit, scales, y)
  }
  /// The gradient with respect to x; `dx` may be `dy`.
  public func normalizeBackward(
    rows: Int, width: Int, unit: Floats, scales: Floats, gamma: Floats, dy: Floats, dx: MutableFloats
  ) {
    table.pointee.normalize_rows_backward(rows, width, unit, scales, gamma, dy, dx)
  }

  public func sgd(_ u: inout lstm_update) { table.pointee.sgd(&u) }
  public func rmsprop(_ u: inout lstm_update) { table.pointee.rmsprop(&u) }
  public func adam(_ u: inout lstm_update) { table.pointee.adam(&u) }
  public func nadam(_ u: inout lstm_update) { table.pointee.nadam(&u) }
  public func adagrad(_ u: inout lstm_update) { table.pointee.adagrad(&u) }
  public func adamax(_ u: inout lstm_update) { table.pointee.adamax(&u) }
  public func adadelta(_ u: inout lstm_update) { table.pointee.adadelta(&u) }
  public func lion(_ u: inout lstm_update) { table.pointee.lion(&u) }
  public func ftrl(_ u: inout lstm_update) { table.pointee.ftrl(&u) }
  /// Σ l1·|w| + l2·w²; its gradient is added to `gradient`.
  public func penalty(_ count: Int, l1: Float, l2: Float, _ w: Floats, addingTo gradient: MutableFloats?) -> Double {
    table.pointee.penalize(count, l1, l2, w, gradient)
  }
}
