public import LSTMDescription
public import LSTMTensors

/// UTF-8 text -> token indices. Shapes: strings [batch] -> tokens [batch, timesteps].
///
/// Index 0 is padding, 1 an unknown token. The first layer of a model; it does not run as the others do, but prepares what
/// they are fed.
public final class TextLayer: Layer {
  public let tokenizer: Tokenizer
  /// Tokens of every text; nil: as many as the longest of a batch has.
  public let length: Int?
  /// Long texts lose tokens, and short ones are filled, at their start.
  public let truncatesLeft: Bool
  public let padsLeft: Bool
  /// Of the vocabulary with its two reserved entries.
  private let maxTokens: Int?
  private let allocator: Allocator
  /// nil until it is given or learned.
  public var vocabulary: Vocabulary?

  private init(
    name: String, tokenizer: Tokenizer, length: Int?, truncatesLeft: Bool, padsLeft: Bool, maxTokens: Int?,
    vocabulary: Vocabulary?, allocator: Allocator
  ) {
    (self.tokenizer, self.length, self.maxTokens) = (tokenizer, length, maxTokens)
    (self.truncatesLeft, self.padsLeft) = (truncatesLeft, padsLeft)
    (self.vocabulary, self.allocator) = (vocabulary, allocator)
    super.init(name: name, outputShape: Shape(length ?? Shape.any))
  }

  static func make(_ model: inout Construction) throws(LSTMError) {
    let fields = model.fields
    guard case .input(nil) = model.flow else {
      throw .argument("\(fields.path): expected a text layer to be the first, and no input_shape, got another input")
    }
    let level = try fields.choice("level", ["word", "character"], default: 0)
    let lowers = try fields.boolean("lower", default: true)
    let length = try fields.optionalInteger("length", 1...Int(Int32.max))
    let truncatesLeft = try fields.choice("truncate", ["right", "left"], default: 0) == 1
    let padsLeft = try fields.choice("pad", ["right", "left"], default: 0) == 1
    let maxTokens = try fields.optionalInteger("max_tokens", 3...Int(Int32.max))
    let vocabulary = try readVocabulary(fields, model.allocator)
    if let maxTokens, let vocabulary, vocabulary.count > maxTokens {
      throw .argument(
        "\(fields.path).vocabulary: expected at most \(maxTokens - 2) tokens (max_tokens less 2)"
          + ", got \(vocabulary.count - 2)")
    }
    let layer = TextLayer(
      name: model.name, tokenizer: Tokenizer(level: level == 0 ? .word : .character, lowers: lowers), length: length,
      truncatesLeft: truncatesLeft, padsLeft: padsLeft, maxTokens: maxTokens, vocabulary: vocabulary,
      allocator: model.allocator)
    try model.append(layer, flow: .tokens(layer.outputShape, count: vocabulary?.count ?? maxTokens ?? 0))
  }

  private static func readVocabulary(_ fields: Fields, _ allocator: Allocator) throws(LSTMError) -> Vocabulary? {
    guard let list = fields.value("vocabulary") else { return nil }
    guard list.isArray else { throw fields.error("vocabulary", "a list of tokens", list) }
    let vocabulary = try Vocabulary.make(allocator)
    try list.forEach { (item) throws(LSTMError) in
      guard let token = item.string, !token.isEmpty else {
        throw fields.error("vocabulary", "tokens of at least one byte", item)
      }
      guard try vocabulary.append(token) else { throw fields.error("vocabulary", "each token once", item) }
    }
    return vocabulary
  }

  /// The vocabulary that these texts give, of at most `limit` tokens with the reserved ones.
  public func learn(_ texts: ArrayView, limit: Int) throws(LSTMError) -> Vocabulary {
    let counts = try TokenCounts.make(allocator)
    let scratch = List<UInt8>()
    for row in 0..<texts.rows {
      try forEachToken(of: texts, row: row, scratch) { (token) throws(LSTMError) in try counts.add(token) }
    }
    return try counts.vocabulary(maxTokens: min(limit, maxTokens ?? limit), allocator)
  }

  /// The tokens of one text of an array, in order.
  public func forEachToken(
    of texts: ArrayView, row: Int, _ scratch: List<UInt8>,
    _ body: (UnsafeBufferPointer<UInt8>) throws(LSTMError) -> Void
  ) throws(LSTMError) {
    guard let text = texts.string(row: row) else {
      throw .argument("\(texts.name)[\(row)]: expected text, got NULL")
    }
    try tokenizer.forEachToken(of: text, scratch: scratch, name: { texts.name.spoken.text + "[\(row)]" }, body)
  }

  /// The tokens of one text, in order and as many as it has.
  ///
  /// - Parameters:
  ///   - text: UTF-8 ending with a zero byte.
  ///   - name: what the caller calls the text, for messages: "x[3]".
  public func tokens(of text: UnsafePointer<UInt8>, name: () -> String) throws(LSTMError) -> List<Int32> {
    let (vocabulary, tokens) = (try learned(), List<Int32>())
    try tokenizer.forEachToken(of: text, scratch: List<UInt8>(), name: name) { (token) throws(LSTMError) in
      try tokens.append(vocabulary.index(of: token))
    }
    return tokens
  }

  /// The vocabulary, where there must be one.
  public func learned() throws(LSTMError) -> Vocabulary {
    guard let vocabulary else {
      throw .argument("layer \"\(name)\": expected a vocabulary, got none: call lstm_adapt or give 'vocabulary'")
    }
    return vocabulary
  }

  public override func describeLearned(_ writer: Writer) throws(LSTMError) {
    guard let vocabulary else { return }
    try writer.key("vocabulary")
    try writer.open("[")
    for index in 2..<max(2, vocabulary.count) { try writer.string(vocabulary.token(index)) }
    try writer.close("]")
  }
}
