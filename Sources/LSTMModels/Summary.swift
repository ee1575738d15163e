public import LSTMDescription
internal import LSTMLayers
public import LSTMTensors

extension Model {
  /// The table of layers, output shapes and parameters, and of a graph what each layer reads.
  public func summary() throws(LSTMError) -> Writer {
    let table = SummaryTable(isGraph: !isChain)
    try table.line("Model: \"" + name + "\"")
    try table.rule("_")
    try table.row("Layer (type)", "Output Shape", "Param #", "Connected to")
    try table.rule("=")
    for entry in ports.entries where !isChain {
      var shape = Shape()
      if case .values(let values) = entry.input { shape = values }
      if case .tokens(let tokens, _, _) = entry.input { shape = tokens }
      try table.row(entry.name + " (InputLayer)", shape.prepending(Shape.any).text, "0", "-")
    }
    var total = 0
    var trainable = 0
    for block in blocks {
      var count = 0
      for stage in block.stages {
        for parameter in stages[stage].parameters {
          count += parameter.count
          if parameter.isTrainable { trainable += parameter.count }
        }
      }
      total += count
      let shape = stages[block.stages.upperBound - 1].outputShape.prepending(Shape.any)
      try table.row(
        block.name + " (" + block.type.text + ")", shape.text, "\(count)", sources(of: block.stages.lowerBound))
      try Memory.check()
    }
    try table.rule("=")
    try table.line("Total params: \(total)" + size(total))
    try table.line("Trainable params: \(trainable)" + size(trainable))
    try table.line("Non-trainable params: \(total - trainable)" + size(total - trainable))
    return table.writer
  }

  /// The names of what a stage reads.
  private func sources(of stage: Int) -> String {
    var names = ""
    for signal in wiring.inputs(of: stage) {
      if !names.isEmpty { names += ", " }
      let maker = wiring.maker(of: signal)
      guard let made = maker.stage else {
        names += ports.entries[maker.port].name
        continue
      }
      for block in blocks where block.stages.contains(made) { names += block.name }
    }
    return names
  }

  /// " (649.63 KB)" for float32 values.
  private func size(_ count: Int) -> String {
    let bytes = count * 4
    if bytes < 1024 { return " (\(bytes) Byte)" }
    let (unit, name): (Int, StaticString) =
      bytes < 1 << 20 ? (1 << 10, " KB)") : bytes < 1 << 30 ? (1 << 20, " MB)") : (1 << 30, " GB)")
    let hundredths = (bytes / unit) * 100 + ((bytes % unit) * 100 + unit / 2) / unit
    let rest = hundredths % 100
    return " (\(hundredths / 100)." + (rest < 10 ? "0" : "") + "\(rest)" + name.text
  }
}

/// Lines of columns, as wide as Keras's table.
private final class SummaryTable {
  let writer = Writer()
  private let columns = (30, 28, 14)
  private let isGraph: Bool

  init(isGraph: Bool) { self.isGraph = isGraph }

  func line(_ text: String) throws(LSTMError) {
    for unit in text.utf8 { try writer.bytes.append(unit) }
    try writer.bytes.append(0x0a)
  }

  func rule(_ sign: Unicode.Scalar) throws(LSTMError) {
    for _ in 0..<(isGraph ? 100 : 72) { try writer.bytes.append(UInt8(ascii: sign)) }
    try writer.bytes.append(0x0a)
  }

  func row(_ layer: String, _ shape: String, _ count: String, _ sources: String) throws(LSTMError) {
    let end = isGraph ? padded(count, columns.2) + sources : count
    try line(" " + padded(layer, columns.0) + padded(shape, columns.1) + end)
  }

  private func padded(_ text: String, _ width: Int) -> String {
    var result = text
    for _ in 0..<max(1, width - text.utf8.count) { result += " " }
    return result
  }
}
