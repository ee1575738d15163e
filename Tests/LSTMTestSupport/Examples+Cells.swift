/// Of recurrent cells beyond the standard ones.
let cellExamples: [Example] = simpleExamples

private let simpleExamples: [Example] = {
  func simple(_ fields: String = "", units: String = "units") -> String {
    "{'type': 'simple_rnn', 'units': \(units)\(fields)}"
  }
  let sequences = ", 'return_sequences': true"
  let activations = ["linear", "sigmoid", "relu", "hard_sigmoid", "elu", "gelu", "silu", "softplus"].map {
    Example(
      "simple_rnn", .series, kinks: ["relu", "hard_sigmoid", "elu"].contains($0),
      simple(", 'activation': '\($0)'" + sequences))
  }
  return activations + [
    Example("simple_rnn", .series, simple()),
    Example(
      "simple_rnn", .series,
      "{'type': 'dense', 'units': 4, 'activation': 'tanh'}, \(simple(sequences)), \(simple(units: "6")),"
        + "{'type': 'dense', 'units': 1}"),
    Example("simple_rnn", .series, streams: false, simple(", 'go_backwards': true")),
    Example(
      "simple_rnn", .series, streams: false,
      "\(simple(", 'go_backwards': true" + sequences)), {'type': 'lstm', 'units': 2}"),
    Example("simple_rnn", .series, simple(", 'use_bias': false, 'dropout': 0.4")),
    Example(
      "simple_rnn", .tokens,
      "{'type': 'embedding', 'vocabulary': vocabulary, 'units': 4, 'mask_zero': true},"
        + "\(simple(sequences + ", 'dropout': 0.2")), {'type': 'dense', 'units': 2}"),
    Example(
      "bidirectional", .series, streams: false,
      "{'type': 'bidirectional', 'layer': \(simple(sequences))}, {'type': 'dense', 'units': 2}"),
    Example(
      "bidirectional", .series, streams: false,
      "{'type': 'bidirectional', 'layer': \(simple()), 'merge': 'mul'}"),
  ]
}()
