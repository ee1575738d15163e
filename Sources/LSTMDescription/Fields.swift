public import LSTMTensors

/// Which numbers a field takes.
public enum NumberRange {
  case any, positive
  /// From 0 on.
  case nonnegative
  /// From 0 to 1.
  case share

  func contains(_ x: Double) -> Bool {
    switch self {
    case .any: true
    case .positive: x > 0
    case .nonnegative: x >= 0
    case .share: x >= 0 && x <= 1
    }
  }

  var name: StaticString {
    switch self {
    case .any: "a number"
    case .positive: "a positive number"
    case .nonnegative: "a number of at least 0"
    case .share: "a number from 0 to 1"
    }
  }
}

/// Reads the fields of one object of a description, and records each with its value, defaults included.
///
/// Whoever reads a field states its kind, range and default once: errors ("layers[1].units: expected a positive integer,
/// got \"many\""), the refusal of unknown fields, and the description given back all follow from that.
public final class Fields {
  /// Where the object stands, for messages: "layers[1]".
  public let path: String
  /// The fields read so far, as members of a JSON object without its braces.
  public let record = Writer()
  private let value: Value
  private var known: [StaticString] = []
  /// The first field that must be given and is not. Told only by `finish`, after fields that are not known: a misspelt name
  /// makes both.
  private var missing: LSTMError?

  /// - Parameter value: an object, or a string as short form of `{'type': string}`.
  public init(_ value: Value, path: String) throws(LSTMError) {
    guard value.isObject || value.string != nil else {
      throw .argument("\(path): expected a name or an object, got \(value.spoken)")
    }
    (self.value, self.path) = (value, path)
  }

  public func error(_ key: StaticString, _ expected: Message, _ got: Value?) -> LSTMError {
    .argument("\(path).\(key): expected \(expected), got \((got ?? value.member(key))?.spoken ?? "nothing")")
  }

  /// Notes that a field is missing, and stands in for it until `finish`.
  private func miss<T>(_ key: StaticString, _ expected: Message, _ standIn: T) -> T {
    if missing == nil { missing = error(key, expected, nil) }
    return standIn
  }

  /// The field's value, unless it is absent or null.
  public func value(_ key: StaticString) -> Value? {
    known.append(key)
    guard let member = value.member(key), !member.isNull else { return nil }
    return member
  }

  /// The same before the field is read, to see which kind of value it has.
  public func peek(_ key: StaticString) -> Value? { value.member(key) }

  /// The 'type', in its place in `names`.
  public func type(of names: [StaticString]) throws(LSTMError) -> Int {
    let given = value.isObject ? value("type") : value
    guard let given, let text = given.string, let index = index(of: text, in: names) else {
      let place = value.isObject ? path + ".type" : path
      throw .argument(
        "\(place): expected \(listing(names, near: given?.string)), got \(given?.spoken ?? "nothing")")
    }
    try record.key("type")
    try record.string(names[index].text)
    return index
  }

  /// A whole number of the range; without a default it must be given.
  public func integer(_ key: StaticString, _ range: ClosedRange<Int>, default standard: Int? = nil) throws(LSTMError)
    -> Int
  {
    let given = value(key)
    let expected: Message =
      range.upperBound == Fields.unlimited
      ? (range.lowerBound == 1 ? "a positive integer" : "an integer of at least \(range.lowerBound)")
      : "an integer from \(range.lowerBound) to \(range.upperBound)"
    var result = standard
    if let given {
      guard let number = given.number, number == number.rounded(.towardZero), number.magnitude <= 0x1p53,
        range.contains(Int(number))
      else { throw error(key, expected, given) }
      result = Int(number)
    }
    guard let result else { return miss(key, expected, range.lowerBound) }
    try record.key(key)
    try record.number(Double(result))
    return result
  }

  /// The largest integer that a description can hold exactly.
  public static let unlimited = 1 << 53

  /// As `integer`, but null (and absence) is a value of its own.
  public func optionalInteger(_ key: StaticString, _ range: ClosedRange<Int>) throws(LSTMError) -> Int? {
    guard let member = value.member(key), !member.isNull else {
      known.append(key)
      try record.key(key)
      try record.null()
      return nil
    }
    return try integer(key, range)
  }

  /// A finite number that passes `accepts`, described by `expected`.
  public func number(
    _ key: StaticString, default standard: Double?, expected: StaticString, _ accepts: (Double) -> Bool
  ) throws(LSTMError) -> Double {
    let given = value(key)
    var result = standard
    if let given {
      guard let number = given.number, accepts(number) else { throw error(key, "\(expected)", given) }
      result = number
    }
    guard let result else { return miss(key, "\(expected)", 0) }
    try record.key(key)
    try record.number(result)
    return result
  }

  /// A finite number of a range.
  public func number(
    _ key: StaticString, default standard: Double, _ range: NumberRange
  ) throws(LSTMError) -> Double {
    let number = try given(key, range, "") ?? standard
    try record.key(key)
    try record.number(number)
    return number
  }

  /// The same, but null (and absence) is a value of its own.
  public func optionalNumber(_ key: StaticString, _ range: NumberRange) throws(LSTMError) -> Double? {
    let number = try given(key, range, " or null")
    try record.key(key)
    if let number { try record.number(number) } else { try record.null() }
    return number
  }

  private func given(
    _ key: StaticString, _ range: NumberRange, _ alternative: StaticString
  ) throws(LSTMError) -> Double? {
    guard let given = value(key) else { return nil }
    guard let number = given.number, range.contains(number) else {
      throw error(key, "\(range.name)\(alternative)", given)
    }
    return number
  }

  public func boolean(_ key: StaticString, default standard: Bool) throws(LSTMError) -> Bool {
    let given = value(key)
    if let given, given.boolean == nil { throw error(key, "true or false", given) }
    let result = given?.boolean ?? standard
    try record.key(key)
    try record.boolean(result)
    return result
  }

  /// The same, but null (and absence) is a value of its own.
  public func optionalBoolean(_ key: StaticString) throws(LSTMError) -> Bool? {
    guard let given = value(key) else {
      try record.key(key)
      try record.null()
      return nil
    }
    guard let result = given.boolean else { throw error(key, "true, false or null", given) }
    try record.key(key)
    try record.boolean(result)
    return result
  }

  /// One of a list of names: its index.
  public func choice(_ key: StaticString, _ names: [StaticString], default standard: Int?) throws(LSTMError) -> Int {
    let given = value(key)
    var result = standard
    if let given {
      guard let text = given.string, let index = index(of: text, in: names) else {
        throw error(key, "\(listing(names))", given)
      }
      result = index
    }
    guard let result else { return miss(key, "\(listing(names))", 0) }
    try record.key(key)
    try record.string(names[result].text)
    return result
  }

  /// As `choice`, but null is a value of its own.
  public func optionalChoice(
    _ key: StaticString, _ names: [StaticString], default standard: Int
  ) throws(LSTMError) -> Int? {
    guard let member = value.member(key), member.isNull else { return try choice(key, names, default: standard) }
    known.append(key)
    try record.key(key)
    try record.null()
    return nil
  }

  /// The fields of an object inside; `record` it when they have been read.
  public func object(_ key: StaticString, expected: Message) throws(LSTMError) -> Fields {
    guard let given = value(key), given.isObject else { throw error(key, expected, nil) }
    return try Fields(given, path: path + "." + key.text)
  }

  public func record(_ key: StaticString, _ inner: Fields) throws(LSTMError) {
    try record.key(key)
    try record.open("{")
    try record.json(inner.record)
    try record.close("}")
  }

  /// A name of 1 to `limit` bytes without control characters and dots, or nil when absent. Not recorded.
  public func name(limit: Int) throws(LSTMError) -> String? {
    guard let given = value("name") else { return nil }
    guard let text = given.string, !text.isEmpty, text.count <= limit,
      !text.contains(where: { $0 < 0x20 || $0 == 0x7f || $0 == UInt8(ascii: ".") })
    else { throw error("name", "1 to \(limit) bytes of text without dots", given) }
    return String(decoding: text, as: UTF8.self)
  }

  /// After all fields were read: any other is an error, and so is one that is missing.
  public func finish() throws(LSTMError) {
    try value.forEach { (member) throws(LSTMError) in
      if index(of: member.key, in: known) == nil {
        throw .argument("\(path): unknown field \(quoted(member.key)), expected \(listing(known))")
      }
    }
    if let missing { throw missing }
  }
}
