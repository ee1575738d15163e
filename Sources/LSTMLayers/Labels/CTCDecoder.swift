internal import CLSTMShim
public import LSTMKernels
public import LSTMTensors

/// Finds the labels of a row's outputs, step by step: the most probable path (greedy), or by a prefix beam search the
/// labels whose paths together are the most probable.
///
/// The search keeps the most probable prefixes of labels, and of each the probability of its paths that end in a blank and
/// of those that do not. A width of at least all prefixes makes it exact; a smaller one makes probabilities too small.
/// - Source: Graves 2012, "Sequence Transduction with Recurrent Neural Networks", algorithm 1; Hannun et al. 2014,
///   "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent DNNs", algorithm 1.
public final class CTCDecoder {
  /// A prefix of the beam.
  private struct Prefix: BitwiseCopyable {
    var node: Int
    /// Logarithms of the probability of paths that end in a blank, or in the last label.
    var blank: Double
    var label: Double
    var whole: Double
  }

  /// What may be in the next beam: a prefix of this one, or one with a label more.
  private struct Candidate: BitwiseCopyable {
    var score: Double
    /// The prefix and the label behind it, -1 for none.
    var prefix: Int
    var label: Int
    var prefixBlank: Double
    var prefixLabel: Double

    /// Of two that are equally probable, the one that came first.
    func isBetter(than other: Candidate) -> Bool {
      if score != other.score { return score > other.score }
      return prefix != other.prefix ? prefix < other.prefix : label < other.label
    }
  }

  /// A sequence of labels: its last, and that without it. Each sequence has one node, so that prefixes that meet are told.
  private struct Node: BitwiseCopyable {
    let parent: Int
    let label: Int
    var firstChild = -1
    var nextSibling = -1
    /// Its place in the beam; -1: it is not there.
    var place = -1
  }

  private let classes: Int
  private let blank: Int
  private let width: Int
  private let memory: Buffer
  private let logarithms: UnsafeMutablePointer<Double>
  private let isTaken: UnsafeMutablePointer<Bool>
  private let beam: UnsafeMutablePointer<Prefix>
  private let heap: UnsafeMutablePointer<Candidate>
  private let nodes: UnsafeMutablePointer<Node>
  private let path: UnsafeMutablePointer<Int32>
  private var beamCount = 0
  private var heapCount = 0
  private var nodeCount = 0
  private var steps = 0

  /// Less than any logarithm of a probability.
  private static let impossible = -1e300

  private init(
    _ memory: Buffer, classes: Int, blank: Int, width: Int, places: InlineArray<5, Int>
  ) {
    (self.memory, self.classes, self.blank, self.width) = (memory, classes, blank, width)
    let base = UnsafeMutableRawPointer(memory.base)
    logarithms = base.assumingMemoryBound(to: Double.self)
    isTaken = (base + 4 * places[0]).assumingMemoryBound(to: Bool.self)
    beam = (base + 4 * places[1]).assumingMemoryBound(to: Prefix.self)
    heap = (base + 4 * places[2]).assumingMemoryBound(to: Candidate.self)
    nodes = (base + 4 * places[3]).assumingMemoryBound(to: Node.self)
    path = (base + 4 * places[4]).assumingMemoryBound(to: Int32.self)
  }

  /// - Parameters:
  ///   - width: prefixes that are kept; 0: the search is greedy.
  ///   - steps: that a row has at most.
  public static func make(classes: Int, blank: Int, width: Int, steps: Int) throws(LSTMError) -> CTCDecoder {
    var plan = Carver()
    _ = plan.take(2, classes)
    var places = InlineArray<5, Int>(repeating: 0)
    places[0] = plan.take(classes)
    places[1] = plan.take(MemoryLayout<Prefix>.stride / 4, max(1, width))
    places[2] = plan.take(MemoryLayout<Candidate>.stride / 4, width)
    // Each step keeps so many at most, and the empty sequence was there before.
    places[3] = plan.take(MemoryLayout<Node>.stride / 4, Carver.product(width, steps) + 1)
    places[4] = plan.take(steps)
    let memory = try Buffer.make(.system, plan.count, of: Float.self)
    return CTCDecoder(memory, classes: classes, blank: blank, width: width, places: places)
  }

  /// Before a row.
  public func begin() {
    nodes[0] = Node(parent: -1, label: -1, place: 0)
    beam[0] = Prefix(node: 0, blank: 0, label: CTCDecoder.impossible, whole: 0)
    (nodeCount, beamCount, steps) = (1, 1, 0)
  }

  /// The next step of the row.
  ///
  /// - Parameter y: `[classes]` logits or probabilities; what is no number is taken for impossible.
  public func take(_ y: Floats, areLogits: Bool) {
    var most = -Double.infinity
    for k in 0..<classes where Double(y[k]) > most { most = Double(y[k]) }
    var sum = 0.0
    for k in 0..<classes where !y[k].isNaN { sum += areLogits ? shim_exp(Double(y[k]) - most) : max(0, Double(y[k])) }
    let whole = shim_log(sum)
    for k in 0..<classes {
      let logarithm = areLogits ? Double(y[k]) - most - whole : shim_log(max(0, Double(y[k]))) - whole
      // Not `max`: it is no number if y is none.
      logarithms[k] = logarithm > -1e30 ? logarithm : -1e30
    }
    if width == 0 { takeGreedily() } else { search() }
    steps += 1
  }

  private func takeGreedily() {
    var best = 0
    for k in 0..<classes where logarithms[k] > logarithms[best] { best = k }
    path[steps] = Int32(best)
    // Of the one path.
    beam[0].whole += logarithms[best]
  }

  // MARK: Beam

  private func search() {
    heapCount = 0
    for i in 0..<beamCount {
      let prefix = beam[i]
      let node = nodes[prefix.node]
      var stays = Candidate(
        score: 0, prefix: i, label: -1, prefixBlank: prefix.whole + logarithms[blank],
        prefixLabel: node.label < 0 ? CTCDecoder.impossible : prefix.label + logarithms[node.label])
      if node.parent >= 0, nodes[node.parent].place >= 0 {
        let shorter = nodes[node.parent].place
        stays.prefixLabel = CTCDecoder.sum(stays.prefixLabel, longer(shorter, node.label))
      }
      stays.score = CTCDecoder.sum(stays.prefixBlank, stays.prefixLabel)
      offer(stays)
      // Those that are in the beam have taken this in already.
      isTaken.clear(classes)
      isTaken[blank] = true
      var child = node.firstChild
      while child >= 0 {
        if nodes[child].place >= 0 { isTaken[nodes[child].label] = true }
        child = nodes[child].nextSibling
      }
      for label in 0..<classes where !isTaken[label] {
        let score = longer(i, label)
        offer(
          Candidate(score: score, prefix: i, label: label, prefixBlank: CTCDecoder.impossible, prefixLabel: score))
      }
    }
    keep()
  }

  /// A prefix of the beam with a label more: between two of one kind there was a blank.
  private func longer(_ place: Int, _ label: Int) -> Double {
    (nodes[beam[place].node].label == label ? beam[place].blank : beam[place].whole) + logarithms[label]
  }

  private static func sum(_ a: Double, _ b: Double) -> Double {
    let (more, less) = a > b ? (a, b) : (b, a)
    return more + shim_log1p(shim_exp(less - more))
  }

  /// Into the heap of the best, of which the worst is the first.
  private func offer(_ candidate: Candidate) {
    if candidate.score < CTCDecoder.impossible / 2 { return }
    if heapCount < width {
      var i = heapCount
      heapCount += 1
      while i > 0, heap[(i - 1) / 2].isBetter(than: candidate) {
        heap[i] = heap[(i - 1) / 2]
        i = (i - 1) / 2
      }
      heap[i] = candidate
    } else if candidate.isBetter(than: heap[0]) {
      sink(candidate, heapCount)
    }
  }

  /// Puts a candidate in the place of the worst of so many.
  private func sink(_ candidate: Candidate, _ count: Int) {
    var i = 0
    while 2 * i + 1 < count {
      var worse = 2 * i + 1
      if worse + 1 < count, heap[worse].isBetter(than: heap[worse + 1]) { worse += 1 }
      if !candidate.isBetter(than: heap[worse]) { break }
      heap[i] = heap[worse]
      i = worse
    }
    heap[i] = candidate
  }

  /// Makes the best candidates the beam, the best first.
  private func keep() {
    // The worst goes to the end, again and again.
    for count in stride(from: heapCount, to: 1, by: -1) {
      let (worst, last) = (heap[0], heap[count - 1])
      sink(last, count - 1)
      heap[count - 1] = worst
    }
    for i in 0..<heapCount {
      let parent = beam[heap[i].prefix].node
      heap[i].prefix = heap[i].label < 0 ? parent : node(parent, heap[i].label)
    }
    for i in 0..<beamCount { nodes[beam[i].node].place = -1 }
    beamCount = heapCount
    for i in 0..<beamCount {
      let kept = heap[i]
      beam[i] = Prefix(node: kept.prefix, blank: kept.prefixBlank, label: kept.prefixLabel, whole: kept.score)
      nodes[kept.prefix].place = i
    }
  }

  /// That of a sequence with a label more.
  private func node(_ parent: Int, _ label: Int) -> Int {
    var child = nodes[parent].firstChild
    while child >= 0 {
      if nodes[child].label == label { return child }
      child = nodes[child].nextSibling
    }
    nodes[nodeCount] = Node(parent: parent, label: label, nextSibling: nodes[parent].firstChild)
    nodes[parent].firstChild = nodeCount
    nodeCount += 1
    return nodeCount - 1
  }

  // MARK: Answers

  /// Writes the best answers of the row, the best first, and -1 behind the labels of each; what there is not is all -1,
  /// with a logarithm of minus infinity.
  ///
  /// - Parameters:
  ///   - labels: `[best, room]`; room is no less than the steps taken.
  ///   - scores: `[best]` logarithms of their probabilities, or nil.
  public func finish(
    best: Int, labels: UnsafeMutablePointer<Int64>, room: Int, scores: UnsafeMutablePointer<Double>?
  ) {
    for i in 0..<best {
      let to = labels + i * room
      to.update(repeating: -1, count: room)
      scores?[i] = i < beamCount ? beam[i].whole : -.infinity
      if i >= beamCount { continue }
      if width == 0 {
        let count = collapsePath(path, steps, blank: blank)
        for j in 0..<count { to[j] = Int64(path[j]) }
        continue
      }
      var count = 0
      var node = beam[i].node
      while node > 0 {
        count += 1
        node = nodes[node].parent
      }
      node = beam[i].node
      while node > 0 {
        count -= 1
        to[count] = Int64(nodes[node].label)
        node = nodes[node].parent
      }
    }
  }
}
