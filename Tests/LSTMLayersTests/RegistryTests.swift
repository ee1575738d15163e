import LSTMLayers
import LSTMTestSupport
import LSTMTensors
import Testing

@Suite struct RegistryTests {
  /// The property tests go by the examples: a type without one would not be tested.
  @Test func everyTypeHasAnExample() {
    for type in Registry.types { #expect(examples.contains { $0.type == type.text }, "\(type)") }
  }

  @Test func examplesShowWhatTheyClaim() throws {
    for example in examples {
      let model = try example.model(.tiny)
      #expect(model.blocks.contains { $0.type.text == example.type }, "\(example)")
    }
  }

  @Test func typesAreDistinct() { #expect(Set(Registry.types.map(\.text)).count == Registry.types.count) }
}
