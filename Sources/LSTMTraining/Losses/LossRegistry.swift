internal import LSTMDescription
internal import LSTMTensors

/// All losses: descriptions, metrics that are the mean of a loss, and every property test go by this table.
enum LossRegistry {
  struct Entry {
    let name: StaticString
    /// Reads the loss's fields.
    let make: (Fields) throws(LSTMError) -> Loss
  }

  /// Made on each use: a stored array would outlive the unloading of the library.
  static var entries: [Entry] {
    [
      Entry(name: "binary_crossentropy", make: BinaryCrossentropy.make),
      Entry(name: "categorical_crossentropy", make: CategoricalLoss.makeCrossentropy),
      Entry(name: "sparse_categorical_crossentropy", make: CategoricalLoss.makeSparseCrossentropy),
      Entry(name: "mse", make: ErrorLoss.makeSquared),
      Entry(name: "mae", make: ErrorLoss.makeAbsolute),
      Entry(name: "huber", make: ErrorLoss.makeHuber),
      Entry(name: "log_cosh", make: ErrorLoss.makeLogCosh),
      Entry(name: "mape", make: ErrorLoss.makePercentage),
      Entry(name: "msle", make: ErrorLoss.makeLogarithmic),
      Entry(name: "poisson", make: PoissonLoss.make),
      Entry(name: "kl_divergence", make: CategoricalLoss.makeDivergence),
      Entry(name: "cosine_similarity", make: CosineLoss.make),
      Entry(name: "hinge", make: HingeLoss.makePlain),
      Entry(name: "squared_hinge", make: HingeLoss.makeSquared),
      Entry(name: "categorical_hinge", make: CategoricalHinge.make),
      Entry(name: "binary_focal_crossentropy", make: BinaryCrossentropy.makeFocal),
      Entry(name: "categorical_focal_crossentropy", make: CategoricalLoss.makeFocal),
      Entry(name: "quantile", make: QuantileLoss.make),
      Entry(name: "gaussian_nll", make: LikelihoodLoss.makeGaussian),
      Entry(name: "student_t_nll", make: LikelihoodLoss.makeStudent),
      Entry(name: "contrastive", make: ContrastiveLoss.make),
      Entry(name: "ctc", make: CTCLoss.make),
      Entry(name: "crf", make: CRFLoss.make),
      Entry(name: "mean_squared_error", make: ErrorLoss.makeSquared),
      Entry(name: "mean_absolute_error", make: ErrorLoss.makeAbsolute),
    ]
  }

  /// The loss of a name that the table has.
  static func make(_ name: StaticString, _ fields: Fields) throws(LSTMError) -> Loss {
    let bytes = UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
    for entry in entries where entry.name.matches(bytes) { return try entry.make(fields) }
    preconditionFailure("a metric of a loss that there is not")
  }
}
