import Foundation
import LSTMDescription
import LSTMTestSupport
import LSTMTensors
import Testing

@Suite struct NumberTests {
  private func read(_ text: String) throws -> Double { try #require(try parsed(text).number) }

  /// What the writer prints, the parser reads as the same number: all bits at random, whole numbers, and powers of ten
  /// with what stands beside them.
  @Test func printedNumbersReadBack() throws {
    var random = Generator(17)
    var numbers = (0..<100_000).map { _ in Double(bitPattern: random.next()) }.filter(\.isFinite)
    numbers += (0..<20_000).map { _ in Double.random(in: -1...1, using: &random) }
    numbers += (0..<20_000).map { _ in Double(Float.random(in: -1...1, using: &random)) }
    numbers += (0...1074).map { Double(sign: .plus, exponent: -$0, significand: 1) }
    numbers += (-323...308).flatMap { power -> [Double] in
      let ten = Double("1e\(power)")!
      return [ten, ten.nextUp, ten.nextDown, 9 * ten]
    }.filter(\.isFinite)
    numbers += [0, -0.0, 0x1p53, 0x1p53 - 1, 0x1p63, .greatestFiniteMagnitude, .leastNormalMagnitude, 5e-324]
    var wrong: [(Double, Double)] = []
    for number in numbers {
      let writer = Writer()
      try writer.number(number)
      let back = try read(text(writer))
      if back != number { wrong.append((number, back)) }
    }
    #expect(wrong.isEmpty, "\(wrong.count) of \(numbers.count), as \(wrong.prefix(5))")
  }

  /// Of any length, the decimal is rounded once: as strtod of the C library does it.
  @Test func decimalsAreRoundedAsStrtod() throws {
    var random = Generator(18)
    var wrong: [String] = []
    for _ in 0..<30_000 {
      let digits = (0..<Int.random(in: 1...40, using: &random)).map { _ in String(Int.random(in: 0...9, using: &random))
      }
      let fraction = (0..<Int.random(in: 1...25, using: &random)).map { _ in
        String(Int.random(in: 0...9, using: &random))
      }
      let whole = digits.joined().drop { $0 == "0" }
      let decimal =
        "\(whole.isEmpty ? "0" : String(whole)).\(fraction.joined())e\(Int.random(in: -340...270, using: &random))"
      guard let expected = Double(decimal), expected.isFinite else { continue }
      if try read(decimal) != expected { wrong.append(decimal) }
    }
    #expect(wrong.isEmpty, "\(wrong.count), as \(wrong.prefix(5))")
  }

  /// Halfway between two numbers, and a hair above and below: the hardest cases there are.
  @Test func halfwayCases() throws {
    for (decimal, expected) in [
      ("9007199254740993", 9007199254740992), ("9007199254740993.0000000000000000000000001", 9007199254740994),
      ("9007199254740995", 9007199254740996), ("1e23", 1e23), ("8.5e-323", 8.4e-323),
      ("2.4703282292062327208e-324", 0), ("2.4703282292062327209e-324", 5e-324),
      ("179769313486231580793728971405301e276", Double.greatestFiniteMagnitude),
      ("2.2250738585072011e-308", 2.225073858507201e-308), ("6.631236846766476e-316", 6.631236846766476e-316),
    ] { #expect(try read(decimal) == expected, "\(decimal)") }
  }
}
