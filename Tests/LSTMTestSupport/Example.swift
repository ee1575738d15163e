public import LSTMKernels
public import LSTMModels

/// How large an example's model and batch are. Extents differ pairwise, and no vector is as wide as one of them.
public struct Extents: Sendable {
  public let batch, steps, features, units, vocabulary: Int

  public static let tiny = Extents(batch: 2, steps: 4, features: 3, units: 5, vocabulary: 7)
  /// Several vectors and several rows of panels in each direction, with a rest.
  public static let wide = Extents(batch: 13, steps: 6, features: 9, units: 19, vocabulary: 29)
}

/// A model that shows a type of layer at work, with layers before and behind it where that matters.
public struct Example: Sendable, CustomStringConvertible {
  public enum Input: Sendable { case vector, series, grid, tokens, text }

  /// The type of layer that this is an example of.
  public let type: String
  public let input: Input
  /// JSON of the layers; the names of extents (units, features, vocabulary) stand for their values.
  public let layers: String
  /// The output as a function of weights or input has kinks.
  public let hasKinks: Bool
  /// Outputs can be had step by step.
  public let canStream: Bool
  /// A step's padding can be told to the model.
  public var canPad: Bool { input == .series || input == .grid || input == .tokens }

  public init(_ type: String, _ input: Input, kinks: Bool = false, streams: Bool = true, _ layers: String) {
    (self.type, self.input, self.layers, hasKinks, canStream) = (type, input, layers, kinks, streams)
  }

  /// The loss that its outputs are made for.
  public var loss: String { layers.contains("'crf'") ? "crf" : "mse" }
  /// Outputs have a gradient: they are no decisions.
  public var hasGradient: Bool { loss != "crf" }
  /// Outputs change with every weight, however little.
  public var isContinuous: Bool { !layers.contains("'output': 'tags'") }

  public var description: String { layers }

  public func json(_ extents: Extents, seed: Int = 5, training: String? = nil) -> String {
    let training = training ?? "{'loss': '\(loss)'}"
    var inputShape = ""
    switch input {
    case .vector: inputShape = "'input_shape': [\(extents.features)], "
    case .series: inputShape = "'input_shape': [null, \(extents.features)], "
    case .grid: inputShape = "'input_shape': [null, 2, \(extents.features)], "
    case .tokens, .text: break
    }
    let layers = layers.replacing("'units': units", with: "'units': \(extents.units)")
      .replacing("'vocabulary': vocabulary", with: "'vocabulary': \(extents.vocabulary)")
    return "{\(inputShape)'seed': \(seed), 'layers': [\(layers)], 'training': \(training)}"
  }

  /// With weights of which all have an effect.
  public func model(
    _ extents: Extents, _ kernels: Kernels = fastestKernels, seed: Int = 5, training: String? = nil
  ) throws -> Model {
    try makeRandomModel(json(extents, seed: seed, training: training), kernels, seed: 11)
  }

  public func sample(_ extents: Extents, for model: Model, _ padding: Padding = .none, seed: UInt64 = 1) -> Sample {
    Sample.make(for: model, rows: extents.batch, steps: extents.steps, padding: padding, seed: seed)
  }
}

/// At least one for each line of the registry: every property test goes by this table.
public let examples: [Example] =
  [
    Example("lstm", .series, "{'type': 'lstm', 'units': units}"),
    Example(
      "lstm", .series,
      "{'type': 'lstm', 'units': units, 'return_sequences': true}, {'type': 'dense', 'units': 2, 'activation': 'tanh'}"),
    Example(
      "lstm", .series,
      "{'type': 'dense', 'units': 4, 'activation': 'tanh'}, {'type': 'lstm', 'units': units, 'return_sequences': true},"
        + "{'type': 'lstm', 'units': 6}, {'type': 'dense', 'units': 1}"),
    Example("lstm", .series, streams: false, "{'type': 'lstm', 'units': units, 'go_backwards': true}"),
    Example(
      "lstm", .series, streams: false,
      "{'type': 'lstm', 'units': units, 'go_backwards': true, 'return_sequences': true}"),
    Example(
      "lstm", .series, streams: false,
      "{'type': 'lstm', 'units': units, 'go_backwards': true, 'return_sequences': true},"
        + "{'type': 'lstm', 'units': 6, 'return_sequences': true, 'go_backwards': true}, {'type': 'lstm', 'units': 2}"),
    Example("lstm", .series, "{'type': 'lstm', 'units': units, 'use_bias': false}"),
    Example("lstm", .series, "{'type': 'lstm', 'units': units, 'unit_forget_bias': false}"),
    Example("lstm", .series, "{'type': 'lstm', 'units': units, 'dropout': 0.4}"),
    Example(
      "lstm", .series, streams: false,
      "{'type': 'dense', 'units': 4}, {'type': 'lstm', 'units': units, 'dropout': 0.4, 'go_backwards': true,"
        + "'return_sequences': true}, {'type': 'dense', 'units': 2}"),

    Example("dense", .vector, "{'type': 'dense', 'units': units}"),
    Example("dense", .vector, "{'type': 'dense', 'units': units, 'use_bias': false}, {'type': 'dense', 'units': 2}"),
    Example("dense", .series, "{'type': 'dense', 'units': units, 'activation': 'sigmoid'}"),
    Example(
      "dense", .grid,
      "{'type': 'dense', 'units': units, 'activation': 'tanh'}, {'type': 'dense', 'units': 4, 'activation': 'softmax'}"),

    Example("normalize", .vector, "{'type': 'normalize'}, {'type': 'dense', 'units': units}"),
    Example("normalize", .series, "{'type': 'normalize'}, {'type': 'lstm', 'units': units}"),
    Example(
      "normalize", .series, "{'type': 'dense', 'units': units}, {'type': 'normalize'}, {'type': 'lstm', 'units': 2}"),
    Example("normalize", .grid, "{'type': 'dense', 'units': units}, {'type': 'normalize'}"),

    Example("dropout", .vector, "{'type': 'dense', 'units': units}, {'type': 'dropout', 'rate': 0.3}"),
    Example(
      "dropout", .series,
      "{'type': 'lstm', 'units': units, 'return_sequences': true}, {'type': 'dropout', 'rate': 0.5},"
        + "{'type': 'lstm', 'units': 2}"),
    Example("dropout", .grid, "{'type': 'dropout', 'rate': 0.2}, {'type': 'dense', 'units': units}"),
    Example("dropout", .vector, "{'type': 'dense', 'units': units}, {'type': 'dropout', 'rate': 0}"),

    Example("embedding", .tokens, "{'type': 'embedding', 'vocabulary': vocabulary, 'units': units}"),
    Example(
      "embedding", .tokens,
      "{'type': 'embedding', 'vocabulary': vocabulary, 'units': 4, 'mask_zero': true}, {'type': 'lstm', 'units': units}"
    ),
    Example(
      "embedding", .tokens,
      "{'type': 'embedding', 'vocabulary': vocabulary, 'units': 4, 'mask_zero': true},"
        + "{'type': 'lstm', 'units': units, 'return_sequences': true, 'dropout': 0.2}, {'type': 'dense', 'units': 2}"),
    Example(
      "embedding", .tokens, streams: false,
      "{'type': 'embedding', 'vocabulary': vocabulary, 'units': 4, 'mask_zero': true},"
        + "{'type': 'lstm', 'units': units, 'return_sequences': true, 'go_backwards': true}, {'type': 'lstm', 'units': 2}"
    ),

    Example(
      "text", .text,
      "{'type': 'text', 'vocabulary': ['red', 'green', 'blue', 'black']},"
        + "{'type': 'embedding', 'vocabulary': 6, 'units': 4}, {'type': 'lstm', 'units': units}"),
    Example(
      "text", .text,
      "{'type': 'text', 'level': 'character', 'length': 11, 'pad': 'left', 'truncate': 'left',"
        + "'vocabulary': ['r', 'e', 'd', 'g', 'l', ' ']}, {'type': 'embedding', 'vocabulary': 9, 'units': 4},"
        + "{'type': 'lstm', 'units': units}"),
    Example(
      "text", .text, streams: false,
      "{'type': 'text', 'pad': 'left', 'lower': false, 'max_tokens': 5, 'vocabulary': ['red', 'no', 'white']},"
        + "{'type': 'embedding', 'vocabulary': 5, 'units': 4, 'mask_zero': true},"
        + "{'type': 'lstm', 'units': units, 'go_backwards': true, 'return_sequences': true},"
        + "{'type': 'dense', 'units': 2}"),
  ] + gruExamples + bidirectionalExamples + activationExamples + mergingExamples + cellExamples + newCellExamples
  + labelExamples + aroundExamples + attentionExamples

private let gruExamples: [Example] =
  ["true", "false"].flatMap { (resetAfter: String) -> [Example] in
    let gru = "'type': 'gru', 'units': units, 'reset_after': \(resetAfter)"
    return [
      Example("gru", .series, "{\(gru)}"),
      Example(
        "gru", .series,
        "{\(gru), 'return_sequences': true}, {'type': 'dense', 'units': 2, 'activation': 'tanh'}"),
      Example(
        "gru", .series,
        "{'type': 'dense', 'units': 4, 'activation': 'tanh'}, {\(gru), 'return_sequences': true},"
          + "{'type': 'gru', 'units': 6, 'reset_after': \(resetAfter)}, {'type': 'dense', 'units': 1}"),
      Example("gru", .series, streams: false, "{\(gru), 'go_backwards': true}"),
      Example(
        "gru", .series, streams: false,
        "{\(gru), 'go_backwards': true, 'return_sequences': true}, {'type': 'lstm', 'units': 6}"),
      Example("gru", .series, "{\(gru), 'use_bias': false}"),
      Example("gru", .series, "{\(gru), 'dropout': 0.4}"),
      Example(
        "gru", .series, streams: false,
        "{'type': 'dense', 'units': 4}, {\(gru), 'dropout': 0.4, 'go_backwards': true, 'return_sequences': true},"
          + "{'type': 'dense', 'units': 2}"),
      Example(
        "gru", .tokens,
        "{'type': 'embedding', 'vocabulary': vocabulary, 'units': 4, 'mask_zero': true},"
          + "{\(gru), 'return_sequences': true, 'dropout': 0.2}, {'type': 'dense', 'units': 2}"),
    ]
  }

private let bidirectionalExamples: [Example] =
  ["'type': 'lstm'", "'type': 'gru'", "'type': 'gru', 'reset_after': false"].flatMap { (cell: String) -> [Example] in
    func bidirectional(_ fields: String = "", merge: String = "'concat'", units: String = "units") -> String {
      "{'type': 'bidirectional', 'layer': {\(cell), 'units': \(units)\(fields)}, 'merge': \(merge)}"
    }
    let sequences = ", 'return_sequences': true"
    let names = cell.contains("lstm") ? ["'concat'", "'sum'", "'mul'", "'ave'", "null"] : ["'concat'", "null"]
    let merges = names.flatMap { (merge: String) -> [Example] in
      [
        Example("bidirectional", .series, streams: false, bidirectional(merge: merge)),
        Example(
          "bidirectional", .series, streams: false,
          "\(bidirectional(sequences, merge: merge)), {'type': 'dense', 'units': 2, 'activation': 'tanh'}"),
      ]
    }
    return merges + [
      Example(
        "bidirectional", .series, streams: false,
        "{'type': 'dense', 'units': 4}, \(bidirectional(sequences)),"
          + "\(bidirectional(sequences, merge: "'ave'", units: "6")), {'type': 'lstm', 'units': 2}"),
      Example(
        "bidirectional", .series, streams: false,
        "{'type': 'lstm', 'units': 6, 'return_sequences': true, 'go_backwards': true},"
          + "\(bidirectional(merge: "'mul'")), {'type': 'dense', 'units': 1}"),
      Example("bidirectional", .series, streams: false, bidirectional("\(sequences), 'use_bias': false")),
      Example("bidirectional", .series, streams: false, bidirectional(", 'dropout': 0.4")),
      Example(
        "bidirectional", .tokens, streams: false,
        "{'type': 'embedding', 'vocabulary': vocabulary, 'units': 4, 'mask_zero': true},"
          + "\(bidirectional("\(sequences), 'dropout': 0.2", merge: "'sum'")), {'type': 'dense', 'units': 2}"),
    ]
  }

private let activationExamples: [Example] =
  [
    "linear", "sigmoid", "tanh", "relu", "hard_sigmoid", "elu", "gelu", "silu", "softplus", "softmax",
  ].flatMap { (name: String) -> [Example] in
    // The second derivative of elu jumps at 0.
    let kinks = ["relu", "hard_sigmoid", "elu"].contains(name)
    let alone = [
      Example(
        "activation", .series, kinks: kinks,
        "{'type': 'dense', 'units': units}, {'type': 'activation', 'activation': '\(name)'},"
          + "{'type': 'dense', 'units': 2}"),
      Example("dense", .vector, kinks: kinks, "{'type': 'dense', 'units': units, 'activation': '\(name)'}"),
    ]
    if name == "softmax" { return alone }
    // Linear gates of a gru multiply: its gradients grow past what differences can tell. The goldens have them.
    let gates =
      name == "linear"
      ? []
      : [
        Example(
          "gru", .series, kinks: kinks,
          "{'type': 'gru', 'units': units, 'reset_after': false, 'recurrent_activation': '\(name)'}")
      ]
    return alone + gates + [
      Example(
        "lstm", .series, kinks: kinks,
        "{'type': 'lstm', 'units': units, 'activation': '\(name)', 'return_sequences': true}"),
      Example(
        "lstm", .series, kinks: kinks,
        "{'type': 'lstm', 'units': units, 'recurrent_activation': '\(name)'}"),
      Example(
        "gru", .series, kinks: kinks,
        "{'type': 'gru', 'units': units, 'activation': '\(name)', 'return_sequences': true}"),
    ]
  }

/// Graphs: branches that meet again, a signal that several read, one that a layer reads twice.
private let mergingExamples: [Example] =
  ["add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate"].flatMap {
    (type: String) -> [Example] in
    let kinks = type == "maximum" || type == "minimum"
    return [
      Example(
        type, .series, kinks: kinks,
        "{'type': 'lstm', 'units': units, 'return_sequences': true, 'name': 'a'},"
          + "{'type': 'dense', 'units': units, 'activation': 'tanh', 'inputs': 'input', 'name': 'b'},"
          + "{'type': 'gru', 'units': units, 'inputs': ['a'], 'return_sequences': true, 'name': 'c'},"
          + "{'type': '\(type)', 'inputs': ['b', 'c'\(type == "subtract" ? "" : ", 'a'")], 'name': 'd'},"
          + "{'type': '\(type)', 'inputs': ['d', '\(type == "subtract" ? "c" : "d")']}, {'type': 'lstm', 'units': 2}"),
      Example(
        type, .tokens, kinks: kinks,
        "{'type': 'embedding', 'vocabulary': vocabulary, 'units': units, 'mask_zero': true},"
          + "{'type': 'lstm', 'units': units, 'name': 'b'},"
          + "{'type': 'gru', 'units': units, 'inputs': 'embedding', 'name': 'c'},"
          + "{'type': '\(type)', 'inputs': ['c', 'b']}, {'type': 'dense', 'units': 2, 'activation': 'sigmoid'}"),
    ]
  }
