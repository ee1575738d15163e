/// The layers around the recurrent ones.
let aroundExamples: [Example] =
  normalizationExamples + convolutionExamples + poolingExamples + shapeExamples + noiseExamples + positionExamples

private let sequences = "'units': units, 'return_sequences': true"
private let zeros = "{'type': 'embedding', 'vocabulary': vocabulary, 'units': 4, 'mask_zero': true}"

/// Where rows of few numbers are normalized, their variance is not left to be small: differences could not follow.
private let normalizationExamples: [Example] = [
  Example(
    "layer_normalization", .vector,
    "{'type': 'layer_normalization', 'epsilon': 0.5}, {'type': 'dense', 'units': units}"),
  Example(
    "layer_normalization", .series,
    "{'type': 'dense', 'units': units}, {'type': 'layer_normalization', 'epsilon': 0.5}, {'type': 'lstm', 'units': 3}"),
  Example(
    "layer_normalization", .series,
    "{'type': 'layer_normalization', 'center': false, 'epsilon': 0.5}, {'type': 'gru', \(sequences)},"
      + "{'type': 'layer_normalization', 'scale': false, 'epsilon': 0.5}"),
  Example(
    "layer_normalization", .grid,
    "{'type': 'dense', 'units': units}, {'type': 'layer_normalization', 'scale': false, 'center': false,"
      + "'epsilon': 0.5}, {'type': 'dense', 'units': 2}"),
  Example(
    "group_normalization", .vector,
    "{'type': 'dense', 'units': 6}, {'type': 'group_normalization', 'groups': 2, 'epsilon': 0.5},"
      + "{'type': 'dense', 'units': units}"),
  Example(
    "group_normalization", .series, streams: false,
    "{'type': 'group_normalization', 'groups': -1, 'epsilon': 0.5}, {'type': 'lstm', \(sequences)},"
      + "{'type': 'group_normalization', 'groups': 1, 'scale': false, 'epsilon': 0.5}, {'type': 'gru', 'units': 3}"),
  Example(
    "group_normalization", .series, streams: false,
    "{'type': 'dense', 'units': 34, 'activation': 'tanh'}, {'type': 'group_normalization', 'groups': 2, 'center': false,"
      + "'epsilon': 0.5}, {'type': 'dense', 'units': units}"),
  Example(
    "group_normalization", .grid, streams: false,
    "{'type': 'dense', 'units': 6}, {'type': 'group_normalization', 'groups': 3, 'epsilon': 0.5},"
      + "{'type': 'dense', 'units': 2}"),
  Example(
    "group_normalization", .tokens, streams: false,
    "\(zeros), {'type': 'group_normalization', 'groups': 2, 'epsilon': 0.5}, {'type': 'lstm', 'units': units}"),
  Example(
    "batch_normalization", .vector,
    "{'type': 'dense', 'units': units, 'use_bias': false}, {'type': 'batch_normalization', 'epsilon': 0.5}, {'type': 'dense', 'units': 2}"
  ),
  Example(
    "batch_normalization", .series,
    "{'type': 'batch_normalization', 'epsilon': 0.5, 'momentum': 0.5}, {'type': 'lstm', \(sequences)},"
      + "{'type': 'batch_normalization', 'center': false, 'epsilon': 0.5}, {'type': 'gru', 'units': 3}"),
  Example(
    "batch_normalization", .grid,
    "{'type': 'dense', 'units': units, 'use_bias': false}, {'type': 'batch_normalization', 'scale': false, 'epsilon': 0.5}"
  ),
]

private let convolutionExamples: [Example] =
  [
    "'kernel_size': 3, 'padding': 'valid'", "'kernel_size': 2, 'padding': 'valid', 'strides': 2, 'use_bias': false",
    "'kernel_size': 3, 'padding': 'same', 'strides': 2", "'kernel_size': 4, 'padding': 'same'",
    "'kernel_size': 2, 'padding': 'causal', 'strides': 3", "'kernel_size': 2, 'padding': 'valid', 'dilation_rate': 2",
  ].flatMap { (fields: String) -> [Example] in
    let convolution = "{'type': 'conv1d', 'filters': units, \(fields)}"
    return [
      Example("conv1d", .series, streams: false, "\(convolution), {'type': 'lstm', 'units': 3}"),
      Example("conv1d", .series, streams: false, "\(convolution), {'type': 'dense', 'units': 2}"),
    ]
  } + [
    Example(
      "conv1d", .series, state: 36,
      "{'type': 'conv1d', 'filters': units, 'kernel_size': 3, 'padding': 'causal', 'dilation_rate': 2,"
        + "'activation': 'tanh'}, {'type': 'dense', 'units': 2}"),
    Example(
      "conv1d", .series, "{'type': 'conv1d', 'filters': units, 'kernel_size': 1}, {'type': 'gru', 'units': 2}"),
    Example(
      "conv1d", .series, state: 19,
      "{'type': 'lstm', \(sequences)}, {'type': 'conv1d', 'filters': 6, 'kernel_size': 2, 'padding': 'causal'},"
        + "{'type': 'gru', 'units': 3}"),
    Example(
      "conv1d", .series, streams: false,
      "{'type': 'gru', \(sequences)}, {'type': 'conv1d', 'filters': 6, 'kernel_size': 3, 'padding': 'same'}"),
    Example(
      "conv1d", .tokens, state: 8,
      "\(zeros), {'type': 'conv1d', 'filters': units, 'kernel_size': 3, 'padding': 'causal'},"
        + "{'type': 'lstm', 'units': 3}"),
    Example(
      "conv1d", .tokens, streams: false,
      "\(zeros), {'type': 'conv1d', 'filters': units, 'kernel_size': 3, 'padding': 'same'}, {'type': 'dense', 'units': 2}"
    ),
  ]

private let poolingExamples: [Example] =
  ["max", "average"].flatMap { (kind: String) -> [Example] in
    let kinks = kind == "max"
    return [
      "'padding': 'valid'", "'pool_size': 3, 'strides': 1, 'padding': 'same'",
      "'pool_size': 3, 'strides': 2, 'padding': 'same'",
    ].map { (fields: String) -> Example in
      Example(
        "\(kind)_pooling", .series, kinks: kinks, streams: false,
        "{'type': 'dense', 'units': units}, {'type': '\(kind)_pooling', \(fields)}, {'type': 'gru', 'units': 3}")
    } + [
      Example(
        "\(kind)_pooling", .tokens, kinks: kinks, streams: false,
        "{'type': 'embedding', 'vocabulary': vocabulary, 'units': units, 'mask_zero': true},"
          + "{'type': '\(kind)_pooling', 'padding': 'valid'}, {'type': 'dense', 'units': 2}"),
      Example(
        "global_\(kind)_pooling", .series, kinks: kinks, state: 19 + 2,
        "{'type': 'dense', 'units': units}, {'type': 'global_\(kind)_pooling'}, {'type': 'dense', 'units': 2}"),
      Example(
        "global_\(kind)_pooling", .tokens, kinks: kinks, state: 19 + 2,
        "\(zeros), {'type': 'lstm', \(sequences)}, {'type': 'global_\(kind)_pooling'}"),
    ]
  } + [
    Example("last", .series, state: 19, "{'type': 'dense', 'units': units}, {'type': 'last'}"),
    Example("last", .tokens, state: 19, "\(zeros), {'type': 'gru', \(sequences)}, {'type': 'last'}"),
  ]

private let shapeExamples: [Example] =
  [
    "{'type': 'slice', 'axis': 'time', 'start': 1}", "{'type': 'slice', 'axis': 'time', 'start': -2}",
    "{'type': 'slice', 'axis': 'time', 'start': -3, 'stop': -1}", "{'type': 'slice', 'axis': 'time', 'stop': 2}",
    "{'type': 'cropping'}", "{'type': 'cropping', 'before': 0, 'after': 2}", "{'type': 'zero_padding'}",
    "{'type': 'zero_padding', 'before': 3, 'after': 0}",
  ].flatMap { (layer: String) -> [Example] in
    let type = String(layer.split(separator: "'")[3])
    return [
      Example(
        type, .series, streams: false, "{'type': 'dense', 'units': units}, \(layer), {'type': 'lstm', 'units': 3}"),
      Example(type, .series, streams: false, "{'type': 'lstm', \(sequences)}, \(layer)"),
    ]
  } + [
    Example("slice", .series, "{'type': 'slice', 'start': 1, 'stop': -1}, {'type': 'lstm', 'units': units}"),
    Example("slice", .vector, "{'type': 'dense', 'units': units}, {'type': 'slice', 'stop': 4}"),
    Example(
      "reshape", .grid,
      "{'type': 'dense', 'units': 4}, {'type': 'reshape', 'target_shape': [-1, 8]}, {'type': 'lstm', 'units': units}"),
    Example(
      "reshape", .vector, streams: false,
      "{'type': 'reshape', 'target_shape': [-1, 3]}, {'type': 'lstm', \(sequences)}, {'type': 'flatten'}"),
    Example(
      "flatten", .vector, streams: false,
      "{'type': 'dense', 'units': 12}, {'type': 'reshape', 'target_shape': [4, 3]}, {'type': 'lstm', 'units': 5,"
        + "'return_sequences': true}, {'type': 'flatten'}, {'type': 'dense', 'units': units}"),
    Example(
      "flatten", .vector, streams: false,
      "{'type': 'dense', 'units': 12}, {'type': 'reshape', 'target_shape': [3, 4]},"
        + "{'type': 'reshape', 'target_shape': [2, -1]}, {'type': 'gru', 'units': units}, {'type': 'flatten'}"),
    Example(
      "repeat_vector", .series, streams: false,
      "{'type': 'lstm', 'units': units}, {'type': 'repeat_vector', 'n': 3}, {'type': 'gru', 'units': 4,"
        + "'return_sequences': true}, {'type': 'dense', 'units': 2}"),
    Example(
      "repeat_vector", .vector, streams: false,
      "{'type': 'dense', 'units': units}, {'type': 'repeat_vector', 'n': 2}, {'type': 'lstm', 'units': 3}"),
  ]

private let noiseExamples: [Example] = [
  "{'type': 'spatial_dropout', 'rate': 0.4}", "{'type': 'gaussian_noise', 'stddev': 0.3}",
  "{'type': 'gaussian_dropout', 'rate': 0.1}", "{'type': 'masking', 'mask_value': -3}",
].flatMap { (layer: String) -> [Example] in
  let type = String(layer.split(separator: "'")[3])
  return [
    Example(type, .series, "\(layer), {'type': 'gru', 'units': units}"),
    Example(type, .series, "\(layer), {'type': 'lstm', \(sequences)}, {'type': 'dense', 'units': 2}"),
  ]
}

private let positionExamples: [Example] = [
  "{'type': 'positional_encoding'}", "{'type': 'positional_encoding', 'max_wavelength': 50, 'merge': 'concat'}",
  "{'type': 'position_embedding', 'length': 11}", "{'type': 'position_embedding', 'length': 9, 'merge': 'concat'}",
].flatMap { (layer: String) -> [Example] in
  let type = String(layer.split(separator: "'")[3])
  return [
    Example(type, .series, state: 2, "\(layer), {'type': 'gru', 'units': units}"),
    Example(type, .tokens, state: 2, "\(zeros), \(layer), {'type': 'dense', 'units': 2}"),
    Example(type, .series, state: 2, "{'type': 'lstm', \(sequences)}, \(layer)"),
  ]
}
