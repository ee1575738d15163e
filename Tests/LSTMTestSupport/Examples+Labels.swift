/// Layers that decide, as a loss of theirs learns it. Probabilities follow every weight; of tags most jumps are far away.
let labelExamples: [Example] =
  ["'output': 'probabilities'", "'output': 'tags'"].flatMap { (output: String) -> [Example] in
    [
      Example(
        "crf", .series, streams: false,
        "{'type': 'lstm', 'units': 4, 'return_sequences': true}, {'type': 'dense', 'units': units},"
          + "{'type': 'crf', 'units': units, \(output)}"),
      Example(
        "crf", .tokens, streams: false,
        "{'type': 'embedding', 'vocabulary': vocabulary, 'units': units, 'mask_zero': true},"
          + "{'type': 'crf', 'units': units, \(output)}"),
    ]
  }
