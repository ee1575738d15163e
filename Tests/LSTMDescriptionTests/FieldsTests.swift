import LSTMDescription
import LSTMTestSupport
import LSTMTensors
import Testing

@Suite struct FieldsTests {
  private func fields(_ json: String) throws -> Fields { try Fields(try parsed(json), path: "layers[1]") }

  /// Reads one field of each kind, all of which `json` may leave out or get wrong.
  private func read(_ json: String) throws -> String {
    let fields = try fields(json)
    _ = try fields.type(of: ["one", "two"])
    _ = try fields.integer("units", 1...Fields.unlimited, default: 3)
    _ = try fields.integer("count", 2...9, default: 2)
    _ = try fields.integer("seed", 0...Fields.unlimited, default: 0)
    _ = try fields.optionalInteger("length", 1...100)
    _ = try fields.number("rate", default: 0.5, expected: "a number below 1") { $0 < 1 }
    _ = try fields.boolean("flag", default: false)
    _ = try fields.choice("mode", ["left", "right"], default: 1)
    try fields.finish()
    return text(fields.record)
  }

  @Test func defaultsAndValuesAreRecorded() throws {
    let defaults =
      #""type": "two", "units": 3, "count": 2, "seed": 0, "length": null, "rate": 0.5, "flag": false, "mode": "right""#
    #expect(try read("'two'") == defaults)
    #expect(try read("{'type': 'two'}") == defaults)
    #expect(try read("{'type': 'two', 'units': null, 'rate': null, 'flag': null, 'mode': null}") == defaults)
    #expect(try read("{\(defaults)}") == defaults)
    #expect(
      try read(
        "{'mode': 'left', 'type': 'one', 'flag': true, 'units': 9007199254740992, 'count': 9.0, 'length': 7, 'rate': -1e-9}"
      )
        == #""type": "one", "units": 9007199254740992, "count": 9, "seed": 0, "length": 7, "rate": -1e-09, "flag": true, "mode": "left""#
    )
  }

  @Test(arguments: [
    ("17", "layers[1]: expected a name or an object, got 17"),
    ("[]", "layers[1]: expected a name or an object, got a list"),
    ("'three'", "layers[1]: expected one or two, got \"three\""),
    ("{}", "layers[1].type: expected one or two, got nothing"),
    ("{'type': 3}", "layers[1].type: expected one or two, got 3"),
    ("{'type': 'one', 'units': 'many'}", "layers[1].units: expected a positive integer, got \"many\""),
    ("{'type': 'one', 'units': 0}", "layers[1].units: expected a positive integer, got 0"),
    ("{'type': 'one', 'units': 2.5}", "layers[1].units: expected a positive integer, got 2.5"),
    (
      "{'type': 'one', 'units': 9007199254740994}",
      "layers[1].units: expected a positive integer, got 9.007199254740994e+15"
    ),
    ("{'type': 'one', 'units': -1e300}", "layers[1].units: expected a positive integer, got -1e+300"),
    ("{'type': 'one', 'units': [1]}", "layers[1].units: expected a positive integer, got a list"),
    ("{'type': 'one', 'count': 10}", "layers[1].count: expected an integer from 2 to 9, got 10"),
    ("{'type': 'one', 'count': true}", "layers[1].count: expected an integer from 2 to 9, got true"),
    ("{'type': 'one', 'seed': -1}", "layers[1].seed: expected an integer of at least 0, got -1"),
    ("{'type': 'one', 'length': 0}", "layers[1].length: expected an integer from 1 to 100, got 0"),
    ("{'type': 'one', 'rate': 1}", "layers[1].rate: expected a number below 1, got 1"),
    ("{'type': 'one', 'rate': {}}", "layers[1].rate: expected a number below 1, got an object"),
    ("{'type': 'one', 'flag': 1}", "layers[1].flag: expected true or false, got 1"),
    ("{'type': 'one', 'mode': 'up'}", "layers[1].mode: expected left or right, got \"up\""),
    (
      "{'type': 'one', 'unit': 3}",
      "layers[1]: unknown field \"unit\", expected type, units, count, seed, length, rate, flag or mode"
    ),
    ("{'type': 'one', 'mode': '\\n\\u001b[31m'}", "layers[1].mode: expected left or right, got \"??[31m\""),
  ])
  func errorsNameFieldAndValue(_ json: String, _ expected: String) {
    #expect(argumentError { _ = try read(json) } == expected)
  }

  /// A misspelt field makes two errors: the one that tells of the name comes first.
  @Test func unknownComesBeforeMissing() throws {
    func finish(_ json: String) -> String? {
      argumentError {
        let fields = try fields(json)
        _ = try fields.integer("units", 1...Fields.unlimited)
        _ = try fields.number("rate", default: nil, expected: "a number") { _ in true }
        _ = try fields.choice("mode", ["left", "right"], default: nil)
        try fields.finish()
      }
    }
    #expect(finish("{'unit': 3}") == "layers[1]: unknown field \"unit\", expected units, rate or mode")
    #expect(finish("{}") == "layers[1].units: expected a positive integer, got nothing")
    #expect(finish("{'units': 3}") == "layers[1].rate: expected a number, got nothing")
    #expect(finish("{'units': 3, 'rate': 1}") == "layers[1].mode: expected left or right, got nothing")
    #expect(finish("{'units': 3, 'rate': 1, 'mode': 'left'}") == nil)
  }

  @Test func namesAreShortAndWithoutDots() throws {
    func name(_ json: String) throws -> String? { try fields(json).name(limit: 5) }
    #expect(try name("{}") == nil)
    #expect(try name("{'name': 'äöx'}") == "äöx")
    for bad in ["''", "'abcdef'", "'a.b'", "'a\\n'", "'\\u007f'", "3"] {
      #expect(
        argumentError { _ = try name("{'name': \(bad)}") }?
          .hasPrefix("layers[1].name: expected 1 to 5 bytes of text without dots, got ") == true)
    }
  }
}
