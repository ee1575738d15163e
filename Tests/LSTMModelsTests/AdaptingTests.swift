import LSTMModels
import LSTMTensors
import LSTMTestSupport
import Testing

@Suite struct AdaptingTests {
  private static let description =
    "{'layers': [{'type': 'text', 'vocabulary': ['red']}, {'type': 'embedding', 'vocabulary': 9, 'units': 3},"
    + "{'type': 'normalize'}, {'type': 'lstm', 'units': 2}]}"

  /// Whatever allocation fails: the old vocabulary, mean and variance are there, and another try learns.
  @Test func aFailureChangesNothing() throws {
    let account = Account()
    let model = try makeModel(Self.description, fastestKernels, account.allocator)
    let texts = Sample.texts(["blue green", "green", "no red"])
    let before = try (model.described(), model.saved())
    var failures = 0
    while true {
      account.left = failures
      let error = spokenError { try model.adapt(Arrays(texts.view)) }
      account.left = .max
      if error == nil { break }
      #expect(error == "noMemory")
      #expect(try model.described() == before.0)
      #expect(try model.saved() == before.1)
      failures += 1
    }
    #expect(failures > 5)
    #expect(try model.described().contains("[\"green\", \"blue\", \"no\", \"red\"]"))
  }
}
