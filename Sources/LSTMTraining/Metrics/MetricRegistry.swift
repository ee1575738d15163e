internal import LSTMTensors

/// All metrics: descriptions, the names of columns and every property test go by this table.
enum MetricRegistry {
  struct Column {
    let name: StaticString
    let valName: StaticString
    let biggerIsBetter: Bool
    /// Reads the metric's fields.
    let make: (MetricSetting) throws(LSTMError) -> Metric

    init(
      _ name: StaticString, _ valName: StaticString, biggerIsBetter: Bool = false,
      _ make: @escaping (MetricSetting) throws(LSTMError) -> Metric
    ) {
      (self.name, self.valName, self.biggerIsBetter, self.make) = (name, valName, biggerIsBetter, make)
    }
  }

  /// Made on each use: a stored array would outlive the unloading of the library.
  static var columns: [Column] {
    [
      Column("accuracy", "val_accuracy", biggerIsBetter: true, AccuracyMetric.make),
      Column("binary_accuracy", "val_binary_accuracy", biggerIsBetter: true, AccuracyMetric.makeBinary),
      Column("categorical_accuracy", "val_categorical_accuracy", biggerIsBetter: true, AccuracyMetric.makeCategorical),
      Column(
        "sparse_categorical_accuracy", "val_sparse_categorical_accuracy", biggerIsBetter: true,
        AccuracyMetric.makeSparse),
      Column("top_k_accuracy", "val_top_k_accuracy", biggerIsBetter: true, AccuracyMetric.makeTop),
      Column("precision", "val_precision", biggerIsBetter: true, ScoreMetric.makePrecision),
      Column("precision_macro", "val_precision_macro", biggerIsBetter: true, ScoreMetric.makePrecision),
      Column("precision_micro", "val_precision_micro", biggerIsBetter: true, ScoreMetric.makePrecision),
      Column("precision_weighted", "val_precision_weighted", biggerIsBetter: true, ScoreMetric.makePrecision),
      Column("recall", "val_recall", biggerIsBetter: true, ScoreMetric.makeRecall),
      Column("recall_macro", "val_recall_macro", biggerIsBetter: true, ScoreMetric.makeRecall),
      Column("recall_micro", "val_recall_micro", biggerIsBetter: true, ScoreMetric.makeRecall),
      Column("recall_weighted", "val_recall_weighted", biggerIsBetter: true, ScoreMetric.makeRecall),
      Column("f1", "val_f1", biggerIsBetter: true, ScoreMetric.makeF1),
      Column("f1_macro", "val_f1_macro", biggerIsBetter: true, ScoreMetric.makeF1),
      Column("f1_micro", "val_f1_micro", biggerIsBetter: true, ScoreMetric.makeF1),
      Column("f1_weighted", "val_f1_weighted", biggerIsBetter: true, ScoreMetric.makeF1),
      Column("auc", "val_auc", biggerIsBetter: true, AUC.make),
      Column("r2", "val_r2", biggerIsBetter: true, R2.make),
      Column("perplexity", "val_perplexity", LossMetric.makePerplexity),
      Column("edit_distance", "val_edit_distance", EditDistance.make),
      Column("token_error_rate", "val_token_error_rate", EditDistance.makeRate),
      Column("bleu", "val_bleu", biggerIsBetter: true, BLEU.make),
      Column("rmse", "val_rmse", LossMetric.makeRoot),
      Column("cosine_similarity", "val_cosine_similarity", biggerIsBetter: true, LossMetric.makeSimilarity),
      Column("mse", "val_mse", LossMetric.make),
      Column("mae", "val_mae", LossMetric.make),
      Column("mape", "val_mape", LossMetric.make),
      Column("msle", "val_msle", LossMetric.make),
      Column("log_cosh", "val_log_cosh", LossMetric.make),
      Column("poisson", "val_poisson", LossMetric.make),
      Column("kl_divergence", "val_kl_divergence", LossMetric.make),
      Column("hinge", "val_hinge", LossMetric.make),
      Column("squared_hinge", "val_squared_hinge", LossMetric.make),
      Column("categorical_hinge", "val_categorical_hinge", LossMetric.make),
      Column("binary_crossentropy", "val_binary_crossentropy", LossMetric.make),
      Column("categorical_crossentropy", "val_categorical_crossentropy", LossMetric.make),
      Column("sparse_categorical_crossentropy", "val_sparse_categorical_crossentropy", LossMetric.make),
      Column("mean_squared_error", "val_mean_squared_error", LossMetric.make),
      Column("mean_absolute_error", "val_mean_absolute_error", LossMetric.make),
    ]
  }
}
