import Foundation
import LSTMDescription
import LSTMTestSupport
import LSTMTensors
import Testing

/// A value in the form of make_json_cases.py.
private func canonical(_ value: Value) throws -> String {
  if value.isNull { return "n" }
  if let boolean = value.boolean { return boolean ? "t" : "f" }
  if let number = value.number { return "#" + String(format: "%016lx", (number + 0).bitPattern) }
  if let string = value.string { return "s" + hex(string) }
  var result = value.isArray ? "[" : "{"
  try value.forEach { (child) throws(LSTMError) in
    if value.isObject { result += "s" + hex(child.key) }
    do { result += try canonical(child) } catch { throw error as! LSTMError }
  }
  return result + (value.isArray ? "]" : "}")
}

private func hex(_ bytes: UnsafeBufferPointer<UInt8>) -> String { bytes.map { String(format: "%02x", $0) }.joined() }

private func parse(_ bytes: [UInt8]) throws -> Value {
  try bytes.withUnsafeBufferPointer { try Document.parse($0, name: "text").root }
}

@Suite struct ParserTests {
  /// What Python's json module reads; make_json_cases.py writes the file.
  @Test func readsAsPython() throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "json_cases.json")
    let cases = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as! [[Any]]
    #expect(cases.count > 500)
    for one in cases {
      let digits = Array((one[0] as! String).utf8)
      let bytes = stride(from: 0, to: digits.count, by: 2).map {
        UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16)!
      }
      let text = String(decoding: bytes, as: UTF8.self)
      if let expected = one[1] as? String {
        #expect(try canonical(parse(bytes)) == expected, "\(text)")
      } else {
        #expect(argumentError { _ = try parse(bytes) } != nil, "\(text)")
      }
    }
  }

  @Test func singleQuotesStandForDouble() throws {
    let value = try parsed("{'a': ['it\\'s', \"it's\", 'say \"no\"', 'x\\\"'], \"b\": ''}")
    #expect(try canonical(value) == canonical(try parsed(#"{"a": ["it's", "it's", "say \"no\"", "x\""], "b": ""}"#)))
    #expect(argumentError { _ = try parsed("'a\"") }?.contains("expected a closing quote") == true)
  }

  @Test func depthIsLimited() throws {
    func nested(_ depth: Int) -> String { String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
    _ = try parsed(nested(65))
    for text in [nested(66), String(repeating: "[", count: 100_000), String(repeating: "{'a':", count: 100_000)] {
      #expect(argumentError { _ = try parsed(text) }?.contains("expected at most 64 levels") == true)
    }
  }

  /// What is wrong, and where: lines and columns from 1, columns in bytes.
  @Test(arguments: [
    ("", "line 1, column 1: expected a value, got the end of the text"),
    ("[1, 2", "line 1, column 6: expected a comma or a closing bracket, got the end of the text"),
    ("[1 2]", "line 1, column 4: expected a comma or a closing bracket, got \"2]\""),
    ("{'a': 1 'b'}", "line 1, column 9: expected a comma or a closing brace, got \"'b'}\""),
    ("{a: 1}", "line 1, column 2: expected a field name in quotes, got \"a: 1}\""),
    ("{'a' 1}", "line 1, column 6: expected a colon, got \"1}\""),
    ("{'a': 1,\n 'b': 2,\n  'a': 3}", "line 3, column 3: expected each field once, got \"'a': 3}\""),
    ("[1,]", "line 1, column 4: expected a value, got \"]\""),
    ("1 true", "line 1, column 3: expected the end of the text, got \"true\""),
    ("[\n\n 01]", "line 3, column 2: expected a number, got \"01]\""),
    ("[-]", "line 1, column 2: expected a number, got \"-]\""),
    ("1e999", "line 1, column 1: expected a number, got \"1e999\""),
    ("['abc]", "line 1, column 2: expected a closing quote, got \"'abc]\""),
    ("'a\nb'", "line 1, column 3: expected no control character in a string, got \"?b'\""),
    ("'\\q'", "line 1, column 3: expected an escape, got \"q'\""),
    ("'\\", "line 1, column 3: expected an escape, got the end of the text"),
    ("'\\u12g4'", "line 1, column 6: expected four hexadecimal digits, got \"g4'\""),
    ("'\\ud83d\\n'", "line 1, column 9: expected the second half of a surrogate pair, got \"n'\""),
    ("'\\ud83d\\u0041'", "line 1, column 14: expected the second half of a surrogate pair, got \"'\""),
    ("'\\u0000'", "line 1, column 8: expected a character code that exists, got \"'\""),
    ("'ä' x", "line 1, column 6: expected the end of the text, got \"x\""),
    ("nul", "line 1, column 1: expected a value, got \"nul\""),
    ("[123456789012345678", "line 1, column 20: expected a comma or a closing bracket, got the end of the text"),
  ])
  func errorsNameTheirPlace(_ text: String, _ expected: String) {
    #expect(argumentError { _ = try parsed(text, name: "training") } == "training: " + expected)
  }

  @Test func stringsAreUTF8() {
    for bytes: [UInt8] in [
      [0x22, 0xff, 0x22], [0x22, 0xc3, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22], [0x22, 0xc0, 0x80, 0x22],
    ] {
      let error = argumentError { _ = try parse([0x5b] + bytes + [0x5d]) }
      #expect(error?.hasPrefix("text: line 1, column 2: expected UTF-8, got ") == true)
    }
  }

  /// What the writer writes, the parser and Foundation's read as it was.
  @Test func writtenTextReadsBack() throws {
    let strings = ["", "plain", "\"\\/'", "\u{1}\u{1f}\n\r\t\u{7f}", "ä€😀", "\u{2028}"]
    let writer = Writer()
    try writer.open("{")
    try writer.key("strings")
    try writer.open("[")
    for string in strings { try writer.string(string) }
    try writer.close("]")
    try writer.key(name: "a \"key\"\n")
    try writer.open("[")
    try writer.null()
    try writer.boolean(true)
    try writer.boolean(false)
    try writer.number(-0.1)
    try writer.number(1e300)
    try writer.open("{")
    try writer.close("}")
    try writer.open("[")
    try writer.close("]")
    try writer.close("]")
    let piece = Writer()
    try piece.key("inner")
    try piece.string("x")
    try writer.json(piece)
    try writer.key("quoted")
    try writer.string(piece)
    try writer.close("}")
    let written = text(writer)
    let root = try parsed(written)
    let other = try JSONSerialization.jsonObject(with: Data(written.utf8)) as! NSDictionary
    #expect(other["strings"] as? [String] == strings)
    #expect(other["quoted"] as? String == text(piece))
    #expect(other.count == 4)
    var read: [String] = []
    try root.member("strings")!.forEach { (item) throws(LSTMError) in
      read.append(String(decoding: item.string!, as: UTF8.self))
    }
    #expect(read == strings)
    #expect(
      try canonical(root.member(named: "a \"key\"\n")!) == canonical(parsed("[null,true,false,-0.1,1e300,{},[]]")))
    #expect(!written.utf8.contains { $0 < 0x20 })
  }
}
