/// Of recurrent cells beyond the standard ones.
let cellExamples: [Example] = simpleExamples + optionExamples + normalizedExamples

private let simpleExamples: [Example] = {
  func simple(_ fields: String = "", units: String = "units") -> String {
    "{'type': 'simple_rnn', 'units': \(units)\(fields)}"
  }
  let sequences = ", 'return_sequences': true"
  let activations = ["relu", "gelu", "softplus"].map {
    Example(
      "simple_rnn", .series, kinks: $0 == "relu", simple(", 'activation': '\($0)'" + sequences))
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

/// Options alone and such as meet, in every way through time.
private let optionExamples: [Example] = {
  let (peepholes, coupled, projection) = ("'peepholes': true", "'coupled_gates': true", "'projection': 3")
  let (learned, dropped) = ("'initial_state': 'learned'", "'recurrent_dropout': 0.4")
  let zoneout = "'zoneout_hidden': 0.3, 'zoneout_memory': 0.2"
  // So tight that they limit something; and then there are kinks.
  let clips = "'gate_clip': 0.9, 'cell_clip': 0.5"
  return [
    last("lstm", "'zoneout_hidden': 0.3"),
    last("lstm", "\(peepholes), 'activation': 'silu', 'recurrent_activation': 'softplus', 'use_bias': false"),
    sequences("lstm", peepholes),
    sequences("lstm", projection),
    sequences("lstm", dropped),
    sequences("lstm", "\(coupled), \(projection), \(dropped)"),
    backwards("lstm", learned),
    backwards("lstm", "\(projection), \(learned), \(dropped), 'zoneout_memory': 0.2"),
    bothWays("lstm", "\(peepholes), \(coupled)"),
    bothWays("lstm", "\(peepholes), \(projection), \(learned)"),
    bothWays("lstm", "\(peepholes), \(zoneout), \(dropped), \(learned)"),
    last("gru", "'zoneout_hidden': 0.3, \(learned)"),
    sequences("gru", "'reset_after': false, \(learned)"),
    backwards("gru", "'reset_after': false, \(dropped), \(learned)"),
    bothWays("gru", "\(dropped), \(learned), 'zoneout_hidden': 0.3"),
    sequences("simple_rnn", learned),
    bothWays("simple_rnn", "\(dropped), \(learned)"),
    last("lstm", "'gate_clip': 0.9", kinks: true),
    sequences("gru", "'gate_clip': 0.9", kinks: true),
    backwards("lstm", "\(clips), \(zoneout), \(learned)", kinks: true),
    bothWays("lstm", "\(clips), \(peepholes), \(coupled), \(projection)", kinks: true),
  ]
}()

/// Layer normalization, alone and with what it meets. Rows of few numbers have small variances, and a state of zeros none,
/// which differences could not follow: much is added to them.
private let normalizedExamples: [Example] = {
  let (normalized, learned) = ("'layer_normalization': true, 'norm_epsilon': 0.5", "'initial_state': 'learned'")
  let options = "'peepholes': true, 'coupled_gates': true, 'projection': 4, 'recurrent_dropout': 0.4"
  return [
    last("lstm", normalized),
    last("gru", normalized),
    sequences("lstm", "\(normalized), 'use_bias': false, 'dropout': 0.3"),
    sequences("gru", "\(normalized), 'use_bias': false, 'recurrent_dropout': 0.4"),
    sequences("lstm", "\(normalized), \(options)"),
    backwards("lstm", "\(normalized), \(learned), 'zoneout_hidden': 0.3, 'zoneout_memory': 0.2"),
    backwards("gru", "\(normalized), \(learned), 'zoneout_hidden': 0.3"),
    bothWays("lstm", "\(normalized), \(learned), \(options)"),
    bothWays("gru", "\(normalized), \(learned)"),
    last("lstm", "\(normalized), 'gate_clip': 0.9, 'cell_clip': 0.5", kinks: true),
    sequences("gru", "\(normalized), 'gate_clip': 0.9", kinks: true),
    Example(
      "lstm", .tokens,
      "{'type': 'embedding', 'vocabulary': vocabulary, 'units': 4, 'mask_zero': true}, {'type': 'lstm', 'units': units,"
        + "\(normalized), 'return_sequences': true}, {'type': 'gru', 'units': 6, \(normalized)}"),
  ]
}()

private func layer(_ type: String, _ fields: String) -> String { "'type': '\(type)', 'units': units, \(fields)" }

private func last(_ type: String, _ fields: String, kinks: Bool = false) -> Example {
  Example(type, .series, kinks: kinks, "{\(layer(type, fields))}")
}

private func sequences(_ type: String, _ fields: String, kinks: Bool = false) -> Example {
  Example(
    type, .series, kinks: kinks, "{\(layer(type, fields)), 'return_sequences': true}, {'type': 'dense', 'units': 2}")
}

private func backwards(_ type: String, _ fields: String, kinks: Bool = false) -> Example {
  Example(type, .series, kinks: kinks, streams: false, "{\(layer(type, fields)), 'go_backwards': true}")
}

private func bothWays(_ type: String, _ fields: String, kinks: Bool = false) -> Example {
  Example(
    "bidirectional", .series, kinks: kinks, streams: false,
    "{'type': 'bidirectional', 'layer': {\(layer(type, fields)), 'return_sequences': true}},"
      + "{'type': 'dense', 'units': 2}")
}
