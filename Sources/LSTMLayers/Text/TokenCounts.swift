public import LSTMTensors

/// How often each token occurs in a body of text, and the vocabulary that follows from it.
public final class TokenCounts {
  private let tokens: Vocabulary
  /// In the order of `tokens`.
  private let counts: List<Int>
  private let allocator: Allocator

  private init(_ tokens: Vocabulary, _ counts: List<Int>, _ allocator: Allocator) {
    (self.tokens, self.counts, self.allocator) = (tokens, counts, allocator)
  }

  public static func make(_ allocator: Allocator) throws(LSTMError) -> TokenCounts {
    let tokens = try Vocabulary.make(allocator)
    let counts = List<Int>(allocator)
    for _ in 0..<tokens.count { try counts.append(0) }
    return TokenCounts(tokens, counts, allocator)
  }

  public func add(_ token: UnsafeBufferPointer<UInt8>) throws(LSTMError) {
    try counts.reserve(1)
    let (index, isNew) = try tokens.insert(token)
    if isNew { try counts.append(0) }
    counts[index] += 1
  }

  /// The most frequent tokens first, equally frequent ones in the order of their bytes: the order of the data does not
  /// matter.
  ///
  /// - Parameter maxTokens: the most entries, the two without text included; nil for no limit.
  public func vocabulary(maxTokens: Int?, _ allocator: Allocator) throws(LSTMError) -> Vocabulary {
    let vocabulary = try Vocabulary.make(allocator)
    // A heap whose root comes first: no more tokens are put in order than are wanted.
    let heap = List<Int32>(allocator)
    try heap.reserve(tokens.count)
    for index in 2..<tokens.count { try heap.append(Int32(index)) }
    for i in (0..<heap.count / 2).reversed() { siftDown(heap, i) }
    while heap.count > 0, vocabulary.count < maxTokens ?? Int.max {
      _ = try vocabulary.append(tokens.token(Int(heap[0])))
      heap[0] = heap[heap.count - 1]
      heap.removeLast()
      siftDown(heap, 0)
    }
    return vocabulary
  }

  /// Moves the entry at place `i` down until it comes before both entries below it.
  private func siftDown(_ heap: List<Int32>, _ i: Int) {
    var i = i
    while 2 * i + 1 < heap.count {
      var child = 2 * i + 1
      if child + 1 < heap.count, comes(heap[child + 1], before: heap[child]) { child += 1 }
      if comes(heap[i], before: heap[child]) { return }
      (heap[i], heap[child]) = (heap[child], heap[i])
      i = child
    }
  }

  private func comes(_ a: Int32, before b: Int32) -> Bool {
    let (a, b) = (Int(a), Int(b))
    if counts[a] != counts[b] { return counts[a] > counts[b] }
    return tokens.token(a).lexicographicallyPrecedes(tokens.token(b))
  }
}
