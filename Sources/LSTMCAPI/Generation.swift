public import CLSTM
internal import LSTMModels
internal import LSTMTensors

extension lstm_generate_options: SizedStruct {}

/// Of each a stream is kept: more than anyone has a use for.
private let mostSequences: UInt32 = 4096

private func defaults() -> lstm_generate_options {
  var options = lstm_generate_options()
  (options.sequences, options.max_length, options.beams, options.threads) = (1, 100, 1, 1)
  (options.temperature, options.top_p, options.repetition_penalty) = (1, 1, 1)
  return options
}

@c @implementation
public func lstm_generate_options_init(
  _ options: UnsafeMutablePointer<lstm_generate_options>!, _ struct_size: Int
) -> Int32 {
  boundary { () throws(LSTMError) in try initialize(options, "options", size: struct_size, to: defaults()) }
}

/// The caller's options, checked as a struct.
private func generateOptions(
  _ pointer: UnsafePointer<lstm_generate_options>?
) throws(LSTMError) -> lstm_generate_options {
  pointer == nil ? defaults() : try checked(pointer, "options").pointee
}

extension GenerationSettings {
  fileprivate init(_ options: lstm_generate_options) throws(LSTMError) {
    self.init()
    guard options.reserved == 0 else { throw .version("options.reserved: expected 0, got \(options.reserved)") }
    sequences = Int(try number(options.sequences, 1...mostSequences, "sequences"))
    beams = Int(try number(options.beams, 1...mostSequences, "beams"))
    maxLength = try size(options.max_length, from: 1, "max_length")
    minLength = try size(options.min_length, from: 0, "min_length")
    endTokens = try tokens(options.end_tokens, options.end_count, "end_tokens", "end_count")
    suppressed = try tokens(options.suppressed, options.suppressed_count, "suppressed", "suppressed_count")
    temperature = options.temperature
    guard temperature == 0 || (temperature >= 1e-6 && temperature <= 1e6) else {
      throw .argument("options.temperature: expected 0, or 0.000001 to 1000000, got \(temperature)")
    }
    topK = Int(options.top_k)
    topP = options.top_p
    guard topP > 0, topP <= 1 else {
      throw .argument("options.top_p: expected more than 0 and at most 1, got \(topP)")
    }
    repetitionPenalty = options.repetition_penalty
    guard repetitionPenalty >= 1e-6, repetitionPenalty <= 1e6 else {
      throw .argument("options.repetition_penalty: expected 0.000001 to 1000000, got \(repetitionPenalty)")
    }
    lengthPenalty = options.length_penalty
    guard lengthPenalty >= 0, lengthPenalty <= 100 else {
      throw .argument("options.length_penalty: expected 0 to 100, got \(lengthPenalty)")
    }
    seed = options.seed
    threads = try LSTMCAPI.threads(options.threads, "options.threads")
    try checkBeams(options)
  }

  /// A beam search draws nothing, and what does has no use for beams.
  private func checkBeams(_ options: lstm_generate_options) throws(LSTMError) {
    guard beams > 1 else {
      if lengthPenalty == 0 { return }
      throw .argument("options.length_penalty: expected 0 without beams, got \(lengthPenalty)")
    }
    guard sequences <= beams else {
      throw .argument("options.sequences: expected at most \(beams), the number of beams, got \(sequences)")
    }
    if temperature != 1 { throw .argument("options.temperature: expected 1 with beams, got \(temperature)") }
    if topK != 0 { throw .argument("options.top_k: expected 0 with beams, got \(topK)") }
    if topP != 1 { throw .argument("options.top_p: expected 1 with beams, got \(topP)") }
    if repetitionPenalty != 1 {
      throw .argument("options.repetition_penalty: expected 1 with beams, got \(repetitionPenalty)")
    }
    if options.token != nil { throw .argument("options.token: expected NULL with beams, got a function") }
  }

  private func number(
    _ value: UInt32, _ range: ClosedRange<UInt32>, _ name: StaticString
  ) throws(LSTMError) -> UInt32 {
    guard range.contains(value) else {
      throw .argument("options.\(name): expected \(range.lowerBound) to \(range.upperBound), got \(value)")
    }
    return value
  }

  private func size(_ value: Int, from least: Int, _ name: StaticString) throws(LSTMError) -> Int {
    guard value >= least, value <= Size.limit else {
      throw .argument("options.\(name): expected \(least) to \(Size.limit), got \(UInt(bitPattern: value))")
    }
    return value
  }

  private func tokens(
    _ tokens: UnsafePointer<Int32>?, _ count: Int, _ name: StaticString, _ countName: StaticString
  ) throws(LSTMError) -> UnsafeBufferPointer<Int32> {
    guard count >= 0, count <= Int(Int32.max) else {
      throw .argument("options.\(countName): expected 0 to \(Int32.max), got \(UInt(bitPattern: count))")
    }
    guard tokens != nil || count == 0 else {
      throw .argument("options.\(name): expected a pointer for \(countName) \(count), got NULL")
    }
    return UnsafeBufferPointer(start: tokens, count: count)
  }
}

/// The sequences behind a prompt, from a source if the model has one.
@inline(never) private func generate(
  _ model: OpaquePointer?, from source: ArrayView?, _ prompt: UnsafePointer<lstm_array>?,
  _ options: UnsafePointer<lstm_generate_options>?, _ tokens: UnsafeMutablePointer<Int32>?, _ capacity: Int,
  _ count: UnsafeMutablePointer<Int>?, _ logProbabilities: UnsafeMutablePointer<Double>?
) throws(LSTMError) -> Int32 {
  let model = try LSTMCAPI.model(model)
  let prompt = try ArrayView(prompt, "prompt")
  let options = try generateOptions(options)
  let settings = try GenerationSettings(options)
  let needed = try Size.product(settings.sequences, settings.maxLength)
  var code = LSTM_OK
  try deliver(needed, to: tokens, "tokens", capacity: capacity, count: count) { (out) throws(LSTMError) in
    let (made, isStopped) = try Generated.make(model, from: source, prompt, settings) { token in
      guard let hear = options.token else { return true }
      return hear(token.sequence, token.index, Int32(token.token), token.logProbability, options.token_user) == 0
    }
    try Memory.check()
    made.copy(to: out, logProbabilities)
    if isStopped { code = LSTM_STOPPED }
  }
  return code
}

@c @implementation
public func lstm_generate(
  _ model: OpaquePointer!, _ prompt: UnsafePointer<lstm_array>!, _ options: UnsafePointer<lstm_generate_options>!,
  _ tokens: UnsafeMutablePointer<Int32>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!,
  _ log_probabilities: UnsafeMutablePointer<Double>!
) -> Int32 {
  boundaryWithCode { () throws(LSTMError) -> Int32 in
    try generate(model, from: nil, prompt, options, tokens, capacity, count, log_probabilities)
  }
}

@c @implementation
public func lstm_generate_from(
  _ model: OpaquePointer!, _ source: UnsafePointer<lstm_array>!, _ prompt: UnsafePointer<lstm_array>!,
  _ options: UnsafePointer<lstm_generate_options>!, _ tokens: UnsafeMutablePointer<Int32>!, _ capacity: Int,
  _ count: UnsafeMutablePointer<Int>!, _ log_probabilities: UnsafeMutablePointer<Double>!
) -> Int32 {
  boundaryWithCode { () throws(LSTMError) -> Int32 in
    let source = try ArrayView(source, "source")
    return try generate(model, from: source, prompt, options, tokens, capacity, count, log_probabilities)
  }
}

// MARK: Token by token

/// A generator, which reads a source if the model has one, and the prompt.
private func makeGenerator(
  _ model: OpaquePointer?, from source: ArrayView?, _ prompt: UnsafePointer<lstm_array>?,
  _ options: UnsafePointer<lstm_generate_options>?, _ generator: UnsafeMutablePointer<OpaquePointer?>?
) throws(LSTMError) {
  let model = try LSTMCAPI.model(model)
  let prompt = try ArrayView(prompt, "prompt")
  let options = try generateOptions(options)
  let settings = try GenerationSettings(options)
  guard settings.sequences == 1 else {
    throw .argument("options.sequences: expected 1 of a generator, got \(settings.sequences)")
  }
  guard settings.beams == 1 else {
    throw .argument("options.beams: expected 1 of a generator, got \(settings.beams)")
  }
  if options.token != nil { throw .argument("options.token: expected NULL of a generator, got a function") }
  let out = try required(generator, "generator")
  out.pointee = try makeHandle(
    try TokenGenerator.make(model, from: source, prompt, settings, try Supply.make()), .generator)
}

@c @implementation
public func lstm_generator_create(
  _ model: OpaquePointer!, _ prompt: UnsafePointer<lstm_array>!, _ options: UnsafePointer<lstm_generate_options>!,
  _ generator: UnsafeMutablePointer<OpaquePointer?>!
) -> Int32 {
  boundary { () throws(LSTMError) in try makeGenerator(model, from: nil, prompt, options, generator) }
}

@c @implementation
public func lstm_generator_create_from(
  _ model: OpaquePointer!, _ source: UnsafePointer<lstm_array>!, _ prompt: UnsafePointer<lstm_array>!,
  _ options: UnsafePointer<lstm_generate_options>!, _ generator: UnsafeMutablePointer<OpaquePointer?>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    try makeGenerator(model, from: try ArrayView(source, "source"), prompt, options, generator)
  }
}

@c @implementation
public func lstm_generator_next(
  _ generator: OpaquePointer!, _ token: UnsafeMutablePointer<Int32>!,
  _ log_probability: UnsafeMutablePointer<Double>!
) -> Int32 {
  boundary(liveGenerator(generator)?.supply) { () throws(LSTMError) in
    let generator = try LSTMCAPI.generator(generator)
    let out = try required(token, "token")
    let progress = try generator.advance { next in
      out.pointee = Int32(next.token)
      log_probability?.pointee = next.logProbability
      return true
    }
    if case .ended = progress { out.pointee = -1 }
  }
}

@c @implementation
public func lstm_generator_free(_ generator: OpaquePointer!) { freeHandle(generator, .generator) }

// MARK: Text

@c @implementation
public func lstm_tokenize(
  _ model: OpaquePointer!, _ text: UnsafePointer<CChar>!, _ tokens: UnsafeMutablePointer<Int32>!, _ capacity: Int,
  _ count: UnsafeMutablePointer<Int>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    let text = UnsafeRawPointer(try required(text, "text")).assumingMemoryBound(to: UInt8.self)
    let found = try model.tokens(of: text, name: "text")
    try Memory.check()
    defer { withExtendedLifetime(found) {} }
    try deliver(found.elements, to: tokens, "tokens", capacity: capacity, count: count)
  }
}

@c @implementation
public func lstm_detokenize(
  _ model: OpaquePointer!, _ tokens: UnsafePointer<Int32>!, _ token_count: Int,
  _ buffer: UnsafeMutablePointer<CChar>!, _ capacity: Int, _ count: UnsafeMutablePointer<Int>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    guard token_count >= 0, token_count <= Size.limit else {
      throw .argument(
        "token_count: expected a number that fits into memory, got \(UInt(bitPattern: token_count))")
    }
    let tokens = UnsafeBufferPointer(start: token_count == 0 ? nil : try required(tokens, "tokens"), count: token_count)
    let text = try model.text(of: tokens, name: "tokens")
    try text.append(0)
    try Memory.check()
    defer { withExtendedLifetime(text) {} }
    let bytes = UnsafeRawPointer(text.start).assumingMemoryBound(to: CChar.self)
    try deliver(
      UnsafeBufferPointer(start: bytes, count: text.count), to: buffer, "buffer", capacity: capacity, count: count)
  }
}
