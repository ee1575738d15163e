internal import LSTMDescription
internal import LSTMTensors

/// The fields that all recurrent layers share, and the cell.
struct RecurrentOptions {
  /// The types of recurrent layers.
  static var types: [StaticString] { ["lstm", "gru", "simple_rnn"] }

  let cell: RecurrentCell
  let units: Int
  let hasBias: Bool
  let returnsSequences: Bool
  let goesBackwards: Bool
  let dropout: Double

  /// - Parameter type: its place in `types`.
  init(_ type: Int, _ fields: Fields, _ model: Construction) throws(LSTMError) {
    let fast = model.usesFastActivations
    units = try fields.integer("units", 1...Fields.unlimited)
    switch type {
    case 0: cell = try LSTMCell.make(fields, fast: fast)
    case 1: cell = try GRUCell.make(fields, fast: fast)
    default: cell = try SimpleCell.make(fields, fast: fast)
    }
    hasBias = try fields.boolean("use_bias", default: true)
    returnsSequences = try fields.boolean("return_sequences", default: false)
    goesBackwards = try fields.boolean("go_backwards", default: false)
    dropout = try readRate(fields, "dropout", default: 0)
  }
}
