/// The layers around the recurrent ones.
let aroundExamples: [Example] = layerNormalizationExamples

/// Where rows of few numbers are normalized, their variance is not left to be small: differences could not follow.
private let layerNormalizationExamples: [Example] = [
  Example(
    "layer_normalization", .vector,
    "{'type': 'layer_normalization', 'epsilon': 0.5}, {'type': 'dense', 'units': units}"),
  Example(
    "layer_normalization", .series,
    "{'type': 'dense', 'units': units}, {'type': 'layer_normalization', 'epsilon': 0.5}, {'type': 'lstm', 'units': 3}"),
  Example(
    "layer_normalization", .series,
    "{'type': 'layer_normalization', 'center': false, 'epsilon': 0.5}, {'type': 'gru', 'units': units,"
      + "'return_sequences': true}, {'type': 'layer_normalization', 'scale': false, 'epsilon': 0.5}"),
  Example(
    "layer_normalization", .grid,
    "{'type': 'dense', 'units': units}, {'type': 'layer_normalization', 'scale': false, 'center': false,"
      + "'epsilon': 0.5}, {'type': 'dense', 'units': 2}"),
]
