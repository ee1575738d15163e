public import LSTMTensors

/// A parsed JSON document: nodes in one list, texts in another, both in memory that may run out without harm.
///
/// Nodes stand in document order, a value right before its children, each with the place of the node after it.
/// - Source: RFC 8259, with single quotes allowed around strings.
public final class Document {
  enum Kind: UInt8 { case null, boolean, number, string, array, object }

  struct Node: BitwiseCopyable {
    var kind: Kind
    /// Of an object's member: where its key stands among the texts, in bytes.
    var keyStart = 0
    var keyCount = 0
    /// Of a string: its place among the texts. Of an array or object: the number of its children.
    var start = 0
    var count = 0
    var number = 0.0
    /// The node after this value and all that is in it.
    var next = 0
  }

  let nodes = List<Node>()
  let texts = List<UInt8>()

  private init() {}

  /// - Parameter name: what the caller calls the text, for messages.
  public static func parse(_ text: UnsafeBufferPointer<UInt8>, name: StaticString) throws(LSTMError) -> Document {
    let document = Document()
    var parser = Parser(text: text, name: name, document: document)
    try parser.parseDocument()
    return document
  }

  public var root: Value { Value(document: self, index: 0) }

  func text(_ start: Int, _ count: Int) -> UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(start: UnsafePointer(texts.start) + start, count: count)
  }
}

/// One value of a document.
public struct Value {
  let document: Document
  let index: Int

  var node: Document.Node { document.nodes[index] }

  public var isNull: Bool { node.kind == .null }
  public var boolean: Bool? { node.kind == .boolean ? node.number != 0 : nil }
  public var number: Double? { node.kind == .number ? node.number : nil }
  public var isObject: Bool { node.kind == .object }
  public var isArray: Bool { node.kind == .array }
  /// Children of an array or object.
  public var count: Int { node.kind == .array || node.kind == .object ? node.count : 0 }

  /// The bytes of a string; they live as long as the document.
  public var string: UnsafeBufferPointer<UInt8>? {
    let node = node
    return node.kind == .string ? document.text(node.start, node.count) : nil
  }

  /// The bytes of this member's key.
  public var key: UnsafeBufferPointer<UInt8> {
    let node = node
    return document.text(node.keyStart, node.keyCount)
  }

  /// Children in order.
  public func forEach(_ body: (Value) throws(LSTMError) -> Void) throws(LSTMError) {
    var child = index + 1
    for _ in 0..<count {
      try body(Value(document: document, index: child))
      child = document.nodes[child].next
    }
  }

  /// The elements of a list, or this value itself.
  public func forEachOfList(_ body: (Value) throws(LSTMError) -> Void) throws(LSTMError) {
    if isArray { try forEach(body) } else { try body(self) }
  }

  /// The member of that name, if this is an object that has it.
  public func member(_ key: StaticString) -> Value? { member { key.matches($0) } }
  public func member(named key: String) -> Value? { member { key.utf8.elementsEqual($0) } }

  private func member(_ isKey: (UnsafeBufferPointer<UInt8>) -> Bool) -> Value? {
    guard isObject else { return nil }
    var child = index + 1
    for _ in 0..<count {
      let value = Value(document: document, index: child)
      if isKey(value.key) { return value }
      child = document.nodes[child].next
    }
    return nil
  }

  /// What it is, for "got ..." in messages: `"many"`, `-3`, `an object`.
  public var spoken: String {
    let node = node
    switch node.kind {
    case .null: return "null"
    case .boolean: return node.number != 0 ? "true" : "false"
    case .number: return numberText(node.number)
    case .string: return quoted(document.text(node.start, node.count))
    case .array: return "a list"
    case .object: return "an object"
    }
  }
}
