/// Attention: alone and with a layer that reads time behind it, of one signal and of two, whole and step by step.
public let attentionExamples: [Example] = plainAttentionExamples + multiHeadExamples + transformerExamples

private let plainAttentionExamples: [Example] = [
  ("attention", ""), ("attention", ", 'use_scale': true"), ("attention", ", 'score_mode': 'concat'"),
  ("attention", ", 'score_mode': 'concat', 'use_scale': true"), ("attention", ", 'dropout': 0.3"),
  ("additive_attention", ""), ("additive_attention", ", 'use_scale': false"),
].flatMap { (type: String, fields: String) -> [Example] in
  func model(_ more: String) -> String {
    "{'type': 'lstm', 'units': units, 'return_sequences': true, 'name': 'a'},"
      + "{'type': 'dense', 'units': units, 'activation': 'tanh', 'inputs': 'input', 'name': 'b'},"
      + "{'type': '\(type)'\(fields)\(more), 'inputs': ['a', 'b'], 'name': 'c'}"
  }
  let last = ", {'type': 'gru', 'units': 2}"
  return [
    Example(type, .series, streams: false, model("") + last),
    Example(type, .series, model(", 'causal': true, 'window': 3") + last),
    Example(type, .series, model(", 'causal': true, 'window': 100")),
    Example(
      type, .tokens, streams: false,
      "{'type': 'embedding', 'vocabulary': vocabulary, 'units': units, 'mask_zero': true, 'name': 'a'},"
        + "{'type': 'lstm', 'units': units, 'return_sequences': true, 'name': 'b'},"
        + "{'type': '\(type)'\(fields), 'inputs': ['b', 'a', 'b']}, {'type': 'dense', 'units': 2}"),
  ]
}

private let multiHeadExamples: [Example] = {
  let attention = "'type': 'multi_head_attention', 'num_heads': 3, 'key_dim': 5"
  let causal = "'causal': true, 'window': 4"
  let branches: String =
    "{'type': 'dense', 'units': units, 'name': 'a'}, {'type': 'gru', 'units': 7, 'inputs': 'input',"
    + "'return_sequences': true, 'name': 'b'}"
  // Values of another number of steps than the queries.
  let states: String =
    "{'type': 'dense', 'units': units, 'name': 'a'}, {'type': 'bidirectional', 'layer': {'type': 'lstm', 'units': 4},"
    + "'merge': null, 'inputs': 'input', 'name': 'b'}"
  let embedding = "{'type': 'embedding', 'vocabulary': vocabulary, 'units': units, 'mask_zero': true}"
  let dense = "{'type': 'dense', 'units': units}"
  let lstm = "{'type': 'lstm', 'units': units}"
  let whole: [String] = [
    "{\(attention)}",
    "{\(attention), 'use_bias': false}, \(lstm)",
    "{\(attention), 'value_dim': 2}, \(dense)",
    "{\(attention), 'dropout': 0.3}, \(lstm)",
    "{\(attention), 'causal': true}, \(dense)",
    "\(branches), {\(attention), 'inputs': ['a', 'b', 'input']}, \(lstm)",
    "\(states), {\(attention), 'inputs': ['a', 'b'], 'dropout': 0.2}, \(lstm)",
  ]
  let streaming: [String] = [
    "{\(attention), \(causal)}, \(dense)",
    "{'type': 'lstm', 'units': units, 'return_sequences': true}, {\(attention), 'causal': true, 'window': 50},"
      + "{\(attention), 'causal': true, 'window': 1, 'value_dim': 9, 'name': 'second'}, {'type': 'gru', 'units': 2}",
    "\(branches), {\(attention), \(causal), 'inputs': ['a', 'b']}, \(lstm)",
  ]
  let type = "multi_head_attention"
  return whole.map { Example(type, .series, streams: false, $0) } + streaming.map { Example(type, .series, $0) }
    + [Example(type, .tokens, "\(embedding), {\(attention), \(causal)}, {'type': 'dense', 'units': 2}")]
}()

private let transformerExamples: [Example] = {
  // Where rows of few numbers are normalized, their variance is not left to be small: differences could not follow.
  let fields = "'units': 7, 'num_heads': 2, 'key_dim': 3, 'activation': 'tanh', 'epsilon': 0.5"
  let dense = "{'type': 'dense', 'units': units, 'activation': 'tanh', 'name': 'a'}"
  let encoder = "'type': 'transformer_encoder', \(fields)"
  let decoder =
    "{'type': 'lstm', 'units': 6, 'return_sequences': true, 'inputs': 'input', 'name': 'b'},"
    + "{'type': 'transformer_decoder', \(fields)"
  return [
    Example("transformer_encoder", .series, streams: false, "\(dense), {\(encoder)}"),
    Example(
      "transformer_encoder", .series, streams: false,
      "{\(encoder), 'norm_first': true, 'dropout': 0.2}, {'type': 'lstm', 'units': 2}"),
    Example(
      "transformer_encoder", .series,
      "\(dense), {\(encoder), 'causal': true, 'window': 4}, {\(encoder), 'causal': true, 'window': 9,"
        + "'norm_first': true, 'name': 'second'}, {'type': 'gru', 'units': 2}"),
    Example(
      "transformer_encoder", .series, kinks: true,
      "{\(encoder.replacing("'tanh'", with: "'relu'")), 'causal': true, 'window': 2}"),
    Example(
      "transformer_encoder", .tokens, streams: false,
      "{'type': 'embedding', 'vocabulary': vocabulary, 'units': 6, 'mask_zero': true},"
        + "{'type': 'transformer_encoder', 'units': units, 'num_heads': 2, 'epsilon': 0.5, 'activation': 'gelu'},"
        + "{'type': 'dense', 'units': 2}"),
    Example("transformer_decoder", .series, streams: false, "\(dense), \(decoder), 'inputs': ['a', 'b']}"),
    Example(
      "transformer_decoder", .series, streams: false,
      "\(dense), \(decoder), 'inputs': ['a', 'b'], 'norm_first': true, 'dropout': 0.2}, {'type': 'gru', 'units': 2}"),
  ]
}()
