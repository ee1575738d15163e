internal import LSTMKernels
internal import LSTMLayers
internal import LSTMTensors

/// For predictions of a model whose first layer looks up tokens for a recurrent one: the products of every token's vector
/// with the input weights, so that a step looks them up too instead of making them again for each token of each sequence.
/// The results are the same to the last bit.
final class TokenTable: TeamWork {
  private let model: Model
  private let products: Buffer
  /// Of the weights it was made from.
  private var version: Int?
  private var weights: Weights
  private let width: Int
  private let vocabulary: Int

  /// Tables are not made larger than this, in bytes.
  private static let limit = 64 << 20
  /// Tokens multiplied at once.
  private static let chunk = 256

  private init(_ model: Model, _ products: Buffer, width: Int, vocabulary: Int) {
    (self.model, self.products, self.width, self.vocabulary) = (model, products, width, vocabulary)
    weights = model.currentWeights
  }

  /// nil: the model has no use for one, or there is no memory for it.
  static func make(_ model: Model) -> TokenTable? {
    guard let width = width(model), let vocabulary = model.vocabularySize,
      let products = try? Buffer.make(model.allocator, Carver.product(vocabulary, width), of: Float.self)
    else { return nil }
    return TokenTable(model, products, width: width, vocabulary: vocabulary)
  }

  /// How many tokens are predicted from before a table is worth filling; nil: the model has no use for one.
  static func worth(_ model: Model) -> Int? {
    width(model) == nil ? nil : model.vocabularySize.map { Carver.product(2, $0) }
  }

  private static func width(_ model: Model) -> Int? {
    guard let reader = model.tokenReader, let vocabulary = model.vocabularySize else { return nil }
    let width = model.stages[reader].tokenProductsWidth(model.kernels)
    return width > 0 && Carver.product(vocabulary, width) <= limit / MemoryLayout<Float>.stride ? width : nil
  }

  /// The products with these weights.
  func products(_ weights: Weights, _ workers: Workers) -> Floats {
    if version != weights.version {
      self.weights = weights
      workers.share((vocabulary + TokenTable.chunk - 1) / TokenTable.chunk, self)
      version = weights.version
    }
    return Floats(products.floats)
  }

  override func run(_ item: Int, of count: Int) {
    guard let reader = model.tokenReader else { return }
    let (first, embedding) = (item * TokenTable.chunk, model.stages[reader - 1])
    let vectors = Floats(weights.parameters.floats) + embedding.parameters[0].offset + first * embedding.outputWidth
    model.stages[reader].multiplyTokens(
      min(TokenTable.chunk, vocabulary - first), vectors, packed: model.packedWeights(weights, reader),
      into: products.floats + first * width, model.kernels)
  }
}

extension Model {
  /// In a chain that begins with tokens, the stage that reads their vectors.
  var tokenReader: Int? {
    guard isChain, vocabularySize != nil else { return nil }
    let reader = runs(0) ? 1 : 2
    return reader < stages.count ? reader : nil
  }
}
