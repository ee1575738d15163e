internal import LSTMKernels
internal import LSTMLayers
public import LSTMTensors

/// What a layer makes of samples, or what is inside of it then.
public struct Inspection {
  private let model: Model
  private let feed: Feed
  private let rows: Int
  private let stage: Int
  /// Of the stage's insides; nil: its output.
  private let inside: Int?
  /// Of one sample.
  private let sample: Shape
  /// Of all.
  public var shape: Shape { sample.prepending(rows) }

  /// - Parameters:
  ///   - layer: its name.
  ///   - what: one of `names`.
  public init(
    _ model: Model, _ xs: Arrays, layer: UnsafeBufferPointer<UInt8>, _ what: UnsafeBufferPointer<UInt8>
  ) throws(LSTMError) {
    guard let block = model.blocks.first(where: { $0.name.utf8.elementsEqual(layer) }) else {
      throw .argument("layer: expected the name of a layer, as \"\(model.blocks[0].name)\", got \(quoted(layer))")
    }
    (self.model, rows) = (model, xs[0].rows)
    (stage, inside) = try Inspection.find(what, in: block, model)
    feed = try Feed.make(model, xs, sameSteps: true)
    let (layer, inputs) = (model.stages[stage], model.wiring.inputs(of: stage))
    if let inside {
      sample = layer.insideShape(
        inside, steps: try feed.steps(of: inputs[0]), otherSteps: try feed.steps(of: inputs[inputs.count - 1]))
    } else {
      var shape = layer.outputShape
      if shape.rank > 1 { shape[0] = try feed.steps(of: model.wiring.output(of: stage)) }
      sample = shape
    }
  }

  /// All that some layer shows; "output" every layer does.
  static var names: [StaticString] {
    [
      "output", "hidden", "memory", "gates", "attention", "cross_attention", "forward_hidden", "forward_memory",
      "forward_gates", "backward_hidden", "backward_memory", "backward_gates",
    ]
  }

  private static func find(
    _ what: UnsafeBufferPointer<UInt8>, in block: Model.Block, _ model: Model
  ) throws(LSTMError) -> (stage: Int, inside: Int?) {
    let name = index(of: what, in: names)
    guard let name else { throw .argument("what: expected \(listing(names)), got \(quoted(what))") }
    if name == 0, model.runs(block.stages.upperBound - 1) { return (block.stages.upperBound - 1, nil) }
    // A block of two attentions has the cross attention second.
    let wanted = name == 5 ? names[4] : names[name]
    var skipped = name == 5 ? 1 : 0
    var shown = model.runs(block.stages.upperBound - 1) ? "\"output\"" : "nothing"
    for stage in block.stages {
      for (i, inside) in model.stages[stage].insides.enumerated() {
        if wanted.matches(inside.text.utf8) {
          if skipped == 0 { return (stage, i) }
          skipped -= 1
        }
        shown += ", \"\(inside.text)\""
      }
    }
    throw .unsupported("what: layer \(quoted(block.name.utf8)) shows \(shown), got \(quoted(what))")
  }

  /// Writes all numbers.
  public func write(into y: UnsafeMutablePointer<Float>) throws(LSTMError) {
    let count = try sample.count()
    let pinned = model.pin()
    defer { model.unpin(pinned) }
    let run = try Run.make(model, inside == nil ? .predict : .differentiate)
    run.weights = pinned.weights
    try feed.forEachBatch(of: rows, in: run) { batch in
      run.forward(to: stage + 1)
      if let inside {
        for i in batch { (y + feed.row(i) * count).clear(count) }
        run.writeInside(inside, of: stage, shape: sample) { y + feed.row($0) * count }
        return
      }
      let number = model.wiring.output(of: stage)
      let signal = run.signal(number)
      let time = model.cutsPadding ? model.time(of: number) : nil
      for i in batch {
        let length = time.map { feed.length(i, of: $0) } ?? signal.steps
        signal.copyOut(i, length, count / max(1, signal.width), to: y + feed.row(i) * count)
      }
    }
  }
}
