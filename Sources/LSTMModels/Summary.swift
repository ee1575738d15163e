public import LSTMDescription
internal import LSTMLayers
public import LSTMTensors

extension Model {
  /// The table of layers, output shapes and parameters.
  public func summary() throws(LSTMError) -> Writer {
    let table = SummaryTable()
    try table.line("Model: \"" + name + "\"")
    try table.rule("_")
    try table.row("Layer (type)", "Output Shape", "Param #")
    try table.rule("=")
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
      try table.row(block.name + " (" + block.type.text + ")", shape.text, "\(count)")
      try Memory.check()
    }
    try table.rule("=")
    try table.line("Total params: \(total)" + size(total))
    try table.line("Trainable params: \(trainable)" + size(trainable))
    try table.line("Non-trainable params: \(total - trainable)" + size(total - trainable))
    return table.writer
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
  private let columns = (30, 28)

  func line(_ text: String) throws(LSTMError) {
    for unit in text.utf8 { try writer.bytes.append(unit) }
    try writer.bytes.append(0x0a)
  }

  func rule(_ sign: Unicode.Scalar) throws(LSTMError) {
    for _ in 0..<72 { try writer.bytes.append(UInt8(ascii: sign)) }
    try writer.bytes.append(0x0a)
  }

  func row(_ layer: String, _ shape: String, _ count: String) throws(LSTMError) {
    try line(" " + padded(layer, columns.0) + padded(shape, columns.1) + count)
  }

  private func padded(_ text: String, _ width: Int) -> String {
    var result = text
    for _ in 0..<max(1, width - text.utf8.count) { result += " " }
    return result
  }
}
