/// What a parameter's size costs in the loss: Σ l1·|w| + l2·w².
public struct Penalty: Sendable {
  public let l1: Float
  public let l2: Float

  public init(l1: Float, l2: Float) { (self.l1, self.l2) = (l1, l2) }
}

/// What a parameter is held to after each update.
///
/// - Source: keras.constraints.
public struct Constraint: Sendable {
  public enum Rule: Sendable {
    /// Negative numbers become 0.
    case nonnegative
    case unitNorm
    case maxNorm(Float)
    /// `rate` of the way to where the norm is within least and most.
    case minMaxNorm(least: Float, most: Float, rate: Float)
  }

  public let rule: Rule
  /// The axis along which norms are taken.
  public let axis: Int

  public init(_ rule: Rule, axis: Int) { (self.rule, self.axis) = (rule, axis) }
}
