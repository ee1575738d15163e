public import CLSTM
internal import LSTMKernels
internal import LSTMModels
internal import LSTMTensors
internal import LSTMTraining

@c @implementation
public func lstm_confusion_matrix(
  _ model: OpaquePointer!, _ x: UnsafePointer<lstm_array>!, _ y: UnsafePointer<lstm_array>!,
  _ options: UnsafePointer<lstm_options>!, _ counts: UnsafeMutablePointer<Int64>!, _ capacity: Int,
  _ count: UnsafeMutablePointer<Int>!
) -> Int32 {
  boundary { () throws(LSTMError) in
    let model = try LSTMCAPI.model(model)
    let examples = Examples(x: try ArrayView(x, "x"), y: try ArrayView(y, "y"), weights: nil)
    let options = try predictionOptions(options)
    let matrix = try Evaluation.confusionMatrix(model)
    try deliver(matrix.count, to: counts, "counts", capacity: capacity, count: count) { (out) throws(LSTMError) in
      try Evaluation.fill(matrix, model, examples, batchSize: options.batchSize, threads: options.threads)
      out.copy(from: matrix.values, count: matrix.count)
    }
  }
}
