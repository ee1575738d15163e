import Foundation
import LSTMModels
import LSTMTensors
import LSTMTestSupport
import Testing

/// A safetensors file, read by the rules of its format alone, to be changed and closed again with a right checksum.
private struct File {
  var header: String
  var data: [UInt8]

  init(_ bytes: [UInt8]) {
    let length = (0..<8).reduce(0) { $0 | Int(bytes[$1]) << (8 * $1) }
    header = String(decoding: bytes[8..<8 + length], as: UTF8.self)
    data = Array(bytes[(8 + length)...])
  }

  var json: [String: Any] { (try? JSONSerialization.jsonObject(with: Data(header.utf8)) as? [String: Any]) ?? [:] }

  /// As it is, its checksum that of zlib's crc32 over the file with zeros in its place.
  func bytes() -> [UInt8] {
    let opening = "{\"__metadata__\": {\"checksum\": \""
    var header = Array(self.header.utf8)
    let place = opening.utf8.count..<opening.utf8.count + 8
    if header.count >= place.upperBound { header.replaceSubrange(place, with: Array("00000000".utf8)) }
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
    var crc = UInt32.max
    for byte in length + header + data {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = (crc >> 1) ^ (crc & 1 == 1 ? 0xedb8_8320 : 0) }
    }
    if header.count >= place.upperBound {
      header.replaceSubrange(place, with: Array(String(format: "%08x", ~crc).utf8))
    }
    return length + header + data
  }

  func replacing(_ old: String, with new: String) -> File {
    var result = self
    result.header = header.replacing(old, with: new)
    return result
  }
}

@Suite struct CheckpointTests {
  private func model() throws -> Model {
    try makeRandomModel(
      "{'input_shape': [null, 3], 'layers': ['normalize', {'type': 'lstm', 'units': 5}, {'type': 'dense', 'units': 2}],"
        + "'training': {'loss': 'mse', 'optimizer': 'adam'}}")
  }

  /// Every tensor is where the header says, one after the other to the end, with the numbers of the model.
  @Test func layoutIsThatOfSafetensors() throws {
    let model = try model()
    let bytes = try model.saved()
    let file = File(bytes)
    #expect(file.bytes() == bytes)
    #expect((8 + file.header.utf8.count) % 8 == 0)
    var tensors = file.json
    let metadata = try #require(tensors.removeValue(forKey: "__metadata__") as? [String: String])
    #expect(metadata["format"] == "liblstm" && metadata["format_version"] == "1")
    #expect(metadata["description"] == (try model.described()))
    #expect(Set(tensors.keys) == Set(model.plan.entries.map(\.name)))
    var ranges: [Range<Int>] = []
    for entry in model.plan.entries {
      let tensor = try #require(tensors[entry.name] as? [String: Any])
      #expect(tensor["dtype"] as? String == "F32")
      #expect(tensor["shape"] as? [Int] == (0..<entry.shape.rank).map { entry.shape[$0] })
      let offsets = try #require(tensor["data_offsets"] as? [Int])
      ranges.append(offsets[0]..<offsets[1])
      let numbers = stride(from: offsets[0], to: offsets[1], by: 4).map { at in
        (0..<4).reduce(UInt32(0)) { $0 | UInt32(file.data[at + $1]) << (8 * UInt32($1)) }
      }
      #expect(numbers == bits(model.weights[entry.offset..<entry.offset + entry.count]))
    }
    #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
    #expect(ranges.first?.lowerBound == 0 && ranges.last?.upperBound == file.data.count)
  }

  @Test func everyBitIsChecked() throws {
    let bytes = try model().saved()
    for place in stride(from: 0, to: bytes.count, by: 7) {
      var damaged = bytes
      damaged[place] ^= 1 << UInt8(place % 8)
      #expect(spokenError { _ = try loadModel(damaged) }?.hasPrefix("format: ") == true, "byte \(place)")
    }
    for count in [0, 7, 8, 40, bytes.count / 2, bytes.count - 1] {
      #expect(
        spokenError { _ = try loadModel(Array(bytes.prefix(count))) }?.hasPrefix("format: ") == true, "\(count) bytes")
    }
    #expect(spokenError { _ = try loadModel(bytes + [0]) }?.hasPrefix("format: ") == true)
  }

  /// A header that lies although its checksum is right.
  @Test(
    arguments: [
      ("\"liblstm\"", "\"other\"", "__metadata__.format: expected \"liblstm\", got something else"),
      (
        "\"format_version\": \"1\"", "\"format_version\": \"x\"",
        "__metadata__.format_version: expected a number, got something else"
      ),
      ("\"description\": ", "\"descriptions\": ", "__metadata__.description: expected text, got something else"),
      ("\\\"units\\\": 5", "\\\"units\\\": 6", "\"lstm.input_weights\".shape: expected (3, 24), got something else"),
      ("\\\"units\\\": 5", "\\\"units\\\": 0", "layers[1].units: expected a positive integer, got 0"),
      ("\"dense.bias\"", "\"dense.bian\"", "\"dense.bias\": expected a tensor, got none"),
      ("\"dtype\": \"F32\"", "\"dtype\": \"F64\"", "\"normalize.mean\".dtype: expected \"F32\", got something else"),
      (
        "\"shape\": [5, 20]", "\"shape\": [20, 5]",
        "\"lstm.recurrent_weights\".shape: expected (5, 20), got something else"
      ),
      (
        "\"shape\": [5, 20]", "\"shape\": [5, 20, 1]",
        "\"lstm.recurrent_weights\".shape: expected (5, 20), got something else"
      ),
      (
        "\"data_offsets\": [0, 12]", "\"data_offsets\": [4, 16]",
        "\"normalize.mean\".data_offsets: expected 0 and 12, got others"
      ),
      (
        "\"data_offsets\": [0, 12]", "\"data_offsets\": [0, 1e99]",
        "\"normalize.mean\".data_offsets: expected 0 and 12, got others"
      ),
      (
        "\"data_offsets\": [0, 12]", "\"data_offsets\": 0",
        "\"normalize.mean\".data_offsets: expected 0 and 12, got others"
      ),
      ("{\"__metadata__\"", "[\"__metadata__\"", nil),
      (" \"format\"", " 'format\"", nil),
    ] as [(String, String, String?)])
  func liesAreFound(_ old: String, _ new: String, _ expected: String?) throws {
    let file = File(try model().saved())
    try expectRefusal(of: file, old, new, expected)
  }

  /// A file with `new` in the place of `old` is refused, with this reason if it is given.
  private func expectRefusal(of file: File, _ old: String, _ new: String, _ expected: String?) throws {
    let lying = file.replacing(old, with: new)
    #expect(lying.header != file.header)
    let error = try #require(spokenError { _ = try loadModel(lying.bytes()) })
    if let expected {
      #expect(error == "format: a damaged model: " + expected)
    } else {
      #expect(error.hasPrefix("format: "))
    }
  }

  @Test func dataMustBeAllThere() throws {
    for change in [-4, 4] {
      var file = File(try model().saved())
      if change < 0 { file.data.removeLast(-change) } else { file.data += [UInt8](repeating: 0, count: change) }
      #expect(spokenError { _ = try loadModel(file.bytes()) }?.hasPrefix("format: a damaged model: ") == true)
    }
    var file = File(try model().saved())
    file.header = file.header.replacing(
      "\"dense.bias\"", with: "\"more\": {\"dtype\": \"F32\", \"shape\": [0], \"data_offsets\": [0, 0]}, \"dense.bias\""
    )
    #expect(
      spokenError { _ = try loadModel(file.bytes()) } == "format: a damaged model: header: expected 7 tensors, got 8")
  }

  @Test func newerFilesAreNamedSo() throws {
    let file = File(try model().saved()).replacing("\"format_version\": \"1\"", with: "\"format_version\": \"2\"")
    #expect(
      spokenError { _ = try loadModel(file.bytes()) }
        == "version: file: expected format version 1, got 2: it needs a newer library")
  }

  @Test(
    arguments: [
      ("\"step\": \"", "\"step\": \"-", "__metadata__.step: expected the digits of a number, got something else"),
      (
        "\"epoch\": \"", "\"epoch\": \"99999999999999999999",
        "__metadata__.epoch: expected the digits of a number, got something else"
      ),
      ("\"slots\": \"2", "\"slots\": \"1", "__metadata__.slots: expected 0 or 2, got 1"),
      ("\"slots\": \"2", "\"slots\": \"0", nil),
    ] as [(String, String, String?)])
  func trainingStateIsChecked(_ old: String, _ new: String, _ expected: String?) throws {
    let model = try model()
    model.training.step = 3
    model.training.slots = try (0..<2).map { _ in try Buffer.make(.system, model.plan.count, of: Float.self) }
    let file = File(try model.saved())
    _ = try loadModel(file.bytes())
    try expectRefusal(of: file, old, new, expected)
  }

  @Test func learningRateMustBeANumber() throws {
    let model = try model()
    model.training.step = 1
    let file = File(try model.saved())
    for rate in [Double.nan, .infinity, -1] {
      let lying = file.replacing(
        "\"learning_rate_bits\": \"\(0.001.bitPattern)\"", with: "\"learning_rate_bits\": \"\(rate.bitPattern)\"")
      #expect(lying.header != file.header)
      #expect(
        spokenError { _ = try loadModel(lying.bytes()) }?.contains(
          "learning_rate_bits: expected those of a finite number") == true)
    }
  }
}
