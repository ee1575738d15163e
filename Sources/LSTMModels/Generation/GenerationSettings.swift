/// How to generate, under the names and with the defaults of `lstm_generate_options`, in whose ranges all numbers are.
public struct GenerationSettings {
  public var sequences = 1
  /// Tokens at most, the prompt not counted, and tokens before one that ends a sequence.
  public var maxLength = 100
  public var minLength = 0
  /// Read while a generation is made, and not after that.
  public var endTokens = UnsafeBufferPointer<Int32>(start: nil, count: 0)
  public var suppressed = UnsafeBufferPointer<Int32>(start: nil, count: 0)
  /// 0: the most probable token.
  public var temperature = 1.0
  /// 0: all.
  public var topK = 0
  public var topP = 1.0
  public var repetitionPenalty = 1.0
  /// More than one: a beam search.
  public var beams = 1
  public var lengthPenalty = 0.0
  public var seed: UInt64 = 0
  public var threads = 1

  public init() {}
}
