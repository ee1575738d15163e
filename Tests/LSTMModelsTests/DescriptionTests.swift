import LSTMModels
import LSTMTestSupport
import Testing

@Suite struct ModelDescriptionTests {
  @Test(arguments: [
    ("{}", "description.layers: expected a list of at least one layer, got nothing"),
    ("{'layers': []}", "description.layers: expected a list of at least one layer, got a list"),
    ("{'layers': {}}", "description.layers: expected a list of at least one layer, got an object"),
    ("'sequential'", "description.layers: expected a list of at least one layer, got nothing"),
    ("{'layers': [3]}", "layers[0]: expected a name or an object, got 3"),
    (
      "{'layers': ['rnn']}",
      "layers[0]: expected reshape, repeat_vector, or one of 46 others, got \"rnn\""
    ),
    (
      "{'layers': [{'units': 3}]}",
      "layers[0].type: expected one of 48 others, got nothing"
    ),
    (
      "{'layers': ['dropout'], 'input_shapes': [3]}",
      "description: unknown field \"input_shapes\", expected layers, input_shape, inputs, seed, activations, name, training, weights or outputs"
    ),
    ("{'layers': ['normalize'], 'seed': -1}", "description.seed: expected an integer of at least 0, got -1"),
    (
      "{'layers': [{'type': 'dense', 'units': 3}]}",
      "input_shape: expected the shape of one sample, as [null, 7], since layers[0] does not tell it, got nothing"
    ),
    (
      "{'input_shape': [], 'layers': [{'type': 'dense', 'units': 3}]}",
      "description.input_shape: expected a list of 1 to 7 positive integers, the first of them possibly null, got a list"
    ),
    (
      "{'input_shape': [3, null], 'layers': [{'type': 'dense', 'units': 3}]}",
      "description.input_shape: expected a list of 1 to 7 positive integers, the first of them possibly null, got null"
    ),
    (
      "{'input_shape': [null], 'layers': [{'type': 'dense', 'units': 3}]}",
      "layers[0]: expected an input of shape a known last extent, got (None,)"
    ),
    (
      "{'input_shape': [7], 'layers': [{'type': 'lstm', 'units': 3}]}",
      "layers[0]: expected an input of shape [timesteps, features], got (7,)"
    ),
    (
      "{'input_shape': [null, 2, 7], 'layers': [{'type': 'lstm', 'units': 3}]}",
      "layers[0]: expected an input of shape [timesteps, features], got (None, 2, 7)"
    ),
    (
      "{'input_shape': [null, 7], 'layers': [{'type': 'lstm', 'units': 3}, {'type': 'lstm', 'units': 3}]}",
      "layers[1]: expected an input of shape [timesteps, features]: the layer before needs return_sequences, got (3,)"
    ),
    (
      "{'input_shape': [null, 7], 'layers': [{'type': 'lstm', 'units': 3, 'activation': 'softmax'}]}",
      "layers[0].activation: expected a function of single numbers, got \"softmax\""
    ),
    (
      "{'input_shape': [7], 'layers': [{'type': 'dropout', 'rate': 1}]}",
      "layers[0].rate: expected a number of at least 0 and less than 1, got 1"
    ),
    (
      "{'input_shape': [7], 'layers': [{'type': 'dense'}]}", "layers[0].units: expected a positive integer, got nothing"
    ),
    (
      "{'input_shape': [7], 'layers': [{'type': 'dense', 'unit': 3}]}",
      "layers[0]: unknown field \"unit\", expected type, name, inputs, units, activation, use_bias, "
        + "regularizers or constraints"
    ),
    (
      "{'input_shape': [7], 'layers': [{'type': 'dense', 'units': 3, 'name': 'a'}, {'type': 'dense', 'units': 3, 'name': 'a'}]}",
      "layers[1].name: expected a name of its own, got \"a\""
    ),
    (
      "{'layers': ['text']}", "layers: expected a layer after text, got none"
    ),
    (
      "{'layers': ['text', {'type': 'dense', 'units': 3}]}",
      "layers[1]: expected numbers as input, got tokens: put an embedding before"
    ),
    (
      "{'input_shape': [7], 'layers': ['text', {'type': 'dense', 'units': 3}]}",
      "layers[0]: expected a text layer to be the first, and no input_shape, got another input"
    ),
    (
      "{'layers': [{'type': 'text', 'max_tokens': 9}, {'type': 'embedding', 'vocabulary': 8, 'units': 3}]}",
      "layers[1].vocabulary: expected at least 9, the number of tokens of the layer before, got 8"
    ),
    (
      "{'layers': [{'type': 'text', 'vocabulary': ['a', 'a']}, {'type': 'embedding', 'vocabulary': 8, 'units': 3}]}",
      "layers[0].vocabulary: expected each token once, got \"a\""
    ),
    (
      "{'input_shape': [null, 2], 'layers': [{'type': 'embedding', 'vocabulary': 8, 'units': 3}]}",
      "layers[0]: expected an input of shape [timesteps] tokens, got (None, 2)"
    ),
    (
      "{'input_shape': [7], 'layers': [{'type': 'dense', 'units': 1}], 'training': {'loss': {'type': 'hinge', 'p': 2}}}",
      "training.loss: unknown field \"p\", expected type"
    ),
  ])
  func badDescriptionsAreRefused(_ json: String, _ expected: String) {
    #expect(argumentError { _ = try makeModel(json) } == expected)
  }

  @Test func whatIsTooLargeIsNoMemory() {
    for json in [
      "{'input_shape': [9007199254740992], 'layers': [{'type': 'dense', 'units': 9007199254740992}]}",
      "{'input_shape': [null, 3], 'layers': [{'type': 'lstm', 'units': 9007199254740992}]}",
      "{'layers': [{'type': 'embedding', 'vocabulary': 2147483647, 'units': 9007199254740992}]}",
      "{'input_shape': [1, 9007199254740992, 9007199254740992, 3], 'layers': [{'type': 'dense', 'units': 1099511627776}]}",
    ] { #expect(spokenError { _ = try makeModel(json) } == "noMemory", "\(json)") }
  }

  @Test func namesCountUp() throws {
    let model = try makeModel(
      "{'input_shape': [null, 7], 'name': 'ears', 'layers': [{'type': 'lstm', 'units': 3, 'return_sequences': true},"
        + "{'type': 'lstm', 'units': 2, 'name': 'second'}, {'type': 'dense', 'units': 4, 'use_bias': false, 'name': 'dense_1'},"
        + "{'type': 'dense', 'units': 1}, {'type': 'dense', 'units': 5}]}")
    #expect(model.name == "ears")
    #expect(
      model.plan.entries.map(\.name) == [
        "lstm.input_weights", "lstm.recurrent_weights", "lstm.bias", "second.input_weights", "second.recurrent_weights",
        "second.bias", "dense_1.weights", "dense.weights", "dense.bias", "dense_2.weights", "dense_2.bias",
      ])
    #expect(
      model.plan.entries.map(\.shape.text) == [
        "(7, 12)", "(3, 12)", "(12,)", "(3, 8)", "(2, 8)", "(8,)", "(2, 4)", "(4, 1)", "(1,)", "(1, 5)", "(5,)",
      ])
  }

  /// The counts are those of Keras: 4·((7 + 5)·5 + 5) and 5·3 + 3.
  @Test func summaryIsATable() throws {
    let model = try makeModel(
      "{'input_shape': [null, 7], 'layers': ['normalize', {'type': 'lstm', 'units': 5}, {'type': 'dense', 'units': 3,"
        + "'activation': 'softmax', 'name': 'answer'}]}")
    let line = String(repeating: "_", count: 72)
    let expected = """
      Model: "sequential"
      \(line)
       Layer (type)                  Output Shape                Param #
      \(line.replacing("_", with: "="))
       normalize (normalize)         (None, None, 7)             14
       lstm (lstm)                   (None, 5)                   260
       answer (dense)                (None, 3)                   18
      \(line.replacing("_", with: "="))
      Total params: 292 (1.14 KB)
      Trainable params: 278 (1.09 KB)
      Non-trainable params: 14 (56 Byte)

      """
    #expect(text(try model.summary()) == expected)
  }
}
