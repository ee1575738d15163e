import LSTMTensors
import Testing

@testable import LSTMLayers

/// Every character, as the standard library knows it, which has tables of its own. Those that a newer Unicode than that
/// of our tables has added are passed over.
@Suite struct CharacterTests {
  private static let version: Unicode.Version = (17, 0)

  private static var characters: some Sequence<Unicode.Scalar> {
    (UInt32(0)...0x10ffff).lazy.compactMap { Unicode.Scalar($0) }.filter { ($0.properties.age ?? version) <= version }
  }

  private static func name(_ scalar: Unicode.Scalar) -> String { "U+" + String(scalar.value, radix: 16) }

  private static func kind(of scalar: Unicode.Scalar) -> Symbol.Kind {
    if scalar == "'" || scalar == "\u{2019}" { return .apostrophe }
    let properties = scalar.properties
    switch properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter: return .letter
    case .otherLetter, .modifierLetter, .letterNumber: return properties.isIdeographic ? .sign : .letter
    case .nonspacingMark, .spacingMark, .enclosingMark: return .mark
    case .decimalNumber, .otherNumber: return .digit
    case .spaceSeparator, .lineSeparator, .paragraphSeparator, .control: return .separator
    case .format: return properties.isJoinControl ? .joinControl : .separator
    default: return properties.isAlphabetic ? .letter : .sign
    }
  }

  @Test func kindsAreThoseOfTheStandardLibrary() {
    let wrong = Self.characters.filter { scalar in
      let bytes = Array(scalar.utf8)
      let symbol = bytes.withUnsafeBufferPointer { Symbol($0, at: 0) }
      return symbol.kind != Self.kind(of: scalar) || symbol.length != bytes.count
    }
    #expect(wrong.map(Self.name) == [])
  }

  @Test func lowerCaseIsThatOfTheStandardLibrary() throws {
    let tokenizer = Tokenizer(level: .character, lowers: true)
    let scratch = List<UInt8>()
    var wrong: [Unicode.Scalar] = []
    for scalar in Self.characters where scalar != "\0" {
      var found: [UInt8] = []
      try tokenizer.forEachToken(of: Array(scalar.utf8) + [0], scratch: scratch, name: { "" }) { found += $0 }
      if found != Array(scalar.properties.lowercaseMapping.utf8) { wrong.append(scalar) }
    }
    #expect(wrong.map(Self.name) == [])
  }
}
