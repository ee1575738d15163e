internal import LSTMLayers
internal import LSTMTensors

/// A model that reads tokens and gives a number for each of them: what comes next. Its last input is what it reads of that;
/// where it has another before it, that is a source to write from.
struct LanguageModel {
  let model: Model
  let weights: PinnedWeights
  /// The input that it goes on with.
  let entry: Int
  private let split: DecoderSplit
  let vocabulary: Int
  /// Its outputs are logits without its last stage.
  let endsInSoftmax: Bool

  /// The most tokens: each is a number of a stream, a float.
  private static let limit = 1 << 24

  /// Throws what keeps the model from being one.
  init(_ model: Model, _ weights: PinnedWeights, hasSource: Bool) throws(LSTMError) {
    if !hasSource { try model.checkSingle("model", model.ports.entries.count == 2 ? "lstm_generate_from" : nil) }
    entry = hasSource ? 1 : 0
    let (inputs, outputs) = (model.ports.entries.count, model.ports.exits.count)
    guard inputs == entry + 1, outputs == 1 else {
      throw .unsupported(
        "model: expected two inputs, a source and the target so far, and one output, got \(inputs) and \(outputs)")
    }
    guard let vocabulary = model.vocabularySize(of: entry) else {
      throw .unsupported("model: expected one that reads tokens, got one that reads numbers")
    }
    let last = model.lastStage
    guard last.outputWidth == vocabulary, last.outputShape.last == vocabulary else {
      throw .unsupported(
        "model: expected an output for each of its \(vocabulary) tokens, got outputs of shape "
          + "\(last.outputShape.text)")
    }
    guard vocabulary <= LanguageModel.limit else {
      throw .unsupported("model: expected at most \(LanguageModel.limit) tokens, got \(vocabulary)")
    }
    if let activation = (last as? ActivationLayer)?.activation, !(activation == .linear) {
      guard case .softmax = activation else {
        throw .unsupported("model: expected logits or softmax as its output, got \(activation.name)")
      }
    }
    split = try DecoderSplit.make(model, target: entry)
    (self.model, self.weights, self.vocabulary) = (model, weights, vocabulary)
    endsInSoftmax = model.endsInSoftmax
  }

  private var textLayer: TextLayer? { model.ports.entries[entry].textLayer }
  var masksZero: Bool { model.masksZero(entry) }
  /// The tokens that its text layer has, if it has one.
  var knownTokens: Int? { textLayer?.vocabulary?.count }

  /// More steps than the state of a stream counts.
  static let mostSteps = 1 << 23

  /// What goes on step by step, so many of them at most, with what the encoder makes of a source. nil: the whole model, which
  /// says by itself how far it looks back.
  func half(_ source: ArrayView?, steps: Int) throws(LSTMError) -> Run.Half? {
    let layer = split.needsWindow
    if source == nil, layer == nil { return nil }
    try split.check()
    var half = Run.Half(split: split, isDecoder: true)
    if let layer {
      guard steps <= LanguageModel.mostSteps else {
        throw .argument(
          "options.max_length: expected at most \(LanguageModel.mostSteps) with the prompt, since layer \"\(layer.name)\" "
            + "looks back at all tokens, got \(steps)")
      }
      half.window = steps
    }
    half.encoder = try source.map { (source) throws(LSTMError) in try split.encode(source, weights.weights) }
    return half
  }

  /// The tokens of a prompt: an array of them, or of one text.
  func read(_ prompt: ArrayView) throws(LSTMError) -> List<Int32> {
    let shape = prompt.shape
    guard shape.rank == 1 else {
      throw .argument("\(prompt.name).shape: expected one axis, that of the tokens, got \(shape.text)")
    }
    guard prompt.element == .string else { return try readTokens(prompt) }
    guard let layer = textLayer else {
      throw .type("\(prompt.name).type: expected tokens, since the model has no text layer, got string")
    }
    guard shape[0] == 1 else { throw .argument("\(prompt.name).shape: expected one text, got \(shape.text)") }
    guard let text = prompt.string(row: 0) else { throw .argument("\(prompt.name)[0]: expected text, got NULL") }
    let tokens = try layer.tokens(of: text, name: { prompt.name.spoken.text + "[0]" })
    guard tokens.count > 0 else { throw .argument("\(prompt.name)[0]: expected at least one token, got none") }
    return tokens
  }

  private func readTokens(_ prompt: ArrayView) throws(LSTMError) -> List<Int32> {
    let count = prompt.shape[0]
    guard count > 0 else { throw .argument("\(prompt.name).shape: expected at least one token, got none") }
    let tokens = List<Int32>()
    for i in 0..<count {
      let number = prompt.number(row: i, offset: 0)
      guard number >= 0, number < Double(vocabulary), number == number.rounded(.towardZero) else {
        throw .argument("\(prompt.name)[\(i)]: expected a token from 0 to \(vocabulary - 1), got \(number)")
      }
      try tokens.append(Int32(number))
    }
    return tokens
  }
}
