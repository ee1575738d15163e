/// The cells whose inputs' products are made for all timesteps at once. Heads divide units, so that those of several heads
/// have numbers of units of their own: less than a vector a head, and more.
let newCellExamples: [Example] =
  minimalExamples("min_gru", "") + minimalExamples("min_lstm", ", 'unit_forget_bias': false")
  + headedExamples("slstm", [", 'forget_bias': 'linspace'"])
  + headedExamples("mlstm", [", 'output_gate': false", ", 'key_dim': 3", ", 'key_dim': 21, 'forget_bias': 'zeros'"])

private func minimalExamples(_ type: String, _ fields: String) -> [Example] {
  let (cell, kinked) = (
    "'type': '\(type)', 'units': units, 'activation': 'linear'", "'type': '\(type)', 'units': units"
  )
  return [
    Example(type, .series, kinks: true, "{\(kinked)}"),
    Example(
      type, .series, kinks: true,
      "{\(kinked), 'return_sequences': true\(fields)}, {'type': '\(type)', 'units': 2, 'go_backwards': false}"),
  ] + sequenceExamples(type, cell, fields)
}

/// An mlstm divides by the larger of |n·q| and e⁻ᵐ. Both have e⁻ᵐ in them, whatever m is, so that the maximum that makes m
/// has no part in this; but where |n·q| without it is 1, there is a kink.
private func headedExamples(_ type: String, _ fields: [String]) -> [Example] {
  let few = "'type': '\(type)', 'units': 6, 'heads': 3"
  let many = "'type': '\(type)', 'units': 38, 'heads': 2"
  let kinks = type == "mlstm"
  return sequenceExamples(type, "'type': '\(type)', 'units': units", "", kinks: kinks)
    + sequenceExamples(type, few, fields[0], kinks: kinks)
    + fields.map {
      Example(type, .series, kinks: kinks, "{\(many), 'return_sequences': true\($0)}, {'type': 'dense', 'units': 2}")
    }
}

/// - Parameter fields: of one of them.
private func sequenceExamples(_ type: String, _ cell: String, _ fields: String, kinks: Bool = false) -> [Example] {
  [
    Example(type, .series, kinks: kinks, "{\(cell)}"),
    Example(
      type, .series, kinks: kinks,
      "{\(cell), 'return_sequences': true\(fields)}, {'type': 'dense', 'units': 2, 'activation': 'tanh'}"),
    Example(
      type, .series, kinks: kinks,
      "{'type': 'dense', 'units': 4, 'activation': 'tanh'}, {\(cell), 'return_sequences': true},"
        + "{\(cell)}, {'type': 'dense', 'units': 1}"),
    Example(type, .series, kinks: kinks, streams: false, "{\(cell), 'go_backwards': true}"),
    Example(
      type, .series, kinks: kinks, streams: false,
      "{\(cell), 'go_backwards': true, 'return_sequences': true}, {'type': 'lstm', 'units': 6}"),
    Example(type, .series, kinks: kinks, "{\(cell), 'use_bias': false}"),
    Example(
      type, .tokens, kinks: kinks,
      "{'type': 'embedding', 'vocabulary': vocabulary, 'units': 4, 'mask_zero': true},"
        + "{\(cell), 'return_sequences': true}, {'type': 'dense', 'units': 2}"),
  ]
}
