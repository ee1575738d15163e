internal import CLSTMKernels
internal import LSTMKernels
internal import LSTMTensors

/// One head of one row of an mlstm on its way through time.
struct MatrixMemory {
  private let layer: MLSTMLayer
  private let loop: ScanLoop
  private let extra: MLSTMLayer.Extra
  private let columns: MLSTMLayer.Columns
  private let row: Int
  private let head: Int
  private let kernels: Kernels
  /// 1/√K.
  private let scale: Float
  private let c, n, m, second: MutableFloats
  private var keyDim: Int { layer.keyDim }
  private var width: Int { layer.width }
  /// Where the hidden state, C, n and m of this head lie in the states of streams: piece after piece, each of all rows.
  private let places: (h: Int, c: Int, n: Int, m: Int)

  init(_ layer: MLSTMLayer, _ loop: ScanLoop, _ extra: MLSTMLayer.Extra, row: Int, head: Int) {
    (self.layer, self.loop, self.extra, self.row, self.head) = (layer, loop, extra, row, head)
    columns = MLSTMLayer.Columns(layer, head: head)
    kernels = loop.kernels
    scale = 1 / Float(layer.keyDim).squareRoot()
    let (pair, pairs) = (row * layer.heads + head, loop.x.batch * layer.heads)
    let memory = loop.x.batch * layer.units
    let normalizer = memory + pairs * layer.memoryCount
    places = (
      row * layer.units + head * layer.width, memory + pair * layer.memoryCount, normalizer + pair * layer.keyDim,
      normalizer + pairs * layer.keyDim + pair
    )
    if let state = loop.pass.state {
      (c, n, m) = (state + places.c, state + places.n, state + places.m)
    } else {
      c = loop.extra + extra.c + pair * layer.memoryCount
      n = loop.extra + extra.n + pair * layer.keyDim
      m = loop.extra + extra.m + pair
    }
    second = loop.extra + extra.second + pair * layer.memoryCount
  }

  /// The state of this head in the output or in the state of a stream.
  private func own(_ states: MutableFloats) -> MutableFloats { states + places.h }

  /// The number `i` of the vectors as long as a key, or as a value.
  private func key(_ i: Int) -> MutableFloats {
    let pair = row * layer.heads + head
    return loop.extra + extra.keys + (pair * (loop.training ? 3 : 1) + i) * keyDim
  }
  private func value(_ i: Int) -> MutableFloats {
    loop.extra + extra.values + ((row * layer.heads + head) * 2 + i) * width
  }

  /// A step of this row: its row among those of all timesteps.
  private struct Step {
    let step: Int
    let place: Int
    let isMasked: Bool
    let x: Floats
    let kept, ratio: MutableFloats
  }

  /// This row's step, if it has not ended or not begun.
  private func at(_ step: Int) -> Step? {
    let (x, t) = (loop.x, loop.timestep(step))
    guard row < x.rows(at: t) else { return nil }
    let place = x.first(t) + row
    let kept = loop.training ? place : row
    return Step(
      step: step, place: place, isMasked: x.mask.map { $0[place] == 0 } ?? false,
      x: Floats(x.values) + place * layer.columns,
      kept: loop.extra + extra.kept + (kept * layer.heads + head) * MLSTMLayer.Kept.count,
      ratio: loop.extra + extra.ratio + kept * layer.units + head * width)
  }

  /// i′·k, in the first of the vectors as long as a key; k is divided by √K.
  private func weightedKey(_ step: Step) -> MutableFloats {
    let key = key(0)
    key.copy(from: step.x + columns.k, count: keyDim)
    kernels.scale(keyDim, by: step.kept[MLSTMLayer.Kept.new] * scale, key)
    return key
  }

  // MARK: Forward

  func forward() {
    let (y, state) = (loop.y.values, loop.pass.state)
    var last: Floats
    if let state {
      last = Floats(own(state))
    } else if let from = loop.pass.carried?.from {
      c.copy(from: from + places.c, count: layer.memoryCount)
      n.copy(from: from + places.n, count: keyDim)
      m.copy(from: from + places.m, count: 1)
      last = from + places.h
    } else {
      c.clear(layer.memoryCount)
      n.clear(keyDim)
      m.clear(1)
      own(loop.zeros).clear(width)
      last = Floats(own(loop.zeros))
    }
    if !layer.returnsSequences { own(y).copy(from: last, count: width) }
    for s in 0..<loop.x.steps {
      guard let step = at(s) else { continue }
      let to = own(layer.returnsSequences ? y + layer.outputRow(s, loop.x) * layer.units : y)
      if step.isMasked {
        to.copy(from: last, count: width)
      } else {
        advance(step, to)
      }
      last = Floats(to)
    }
    if let state { own(state).copy(from: last, count: width) }
    guard let to = loop.pass.carried?.to else { return }
    (to + places.h).copy(from: last, count: width)
    (to + places.c).copy(from: c, count: layer.memoryCount)
    (to + places.n).copy(from: n, count: keyDim)
    (to + places.m).copy(from: m, count: 1)
  }

  private func advance(_ step: Step, _ y: MutableFloats) {
    let kept = step.kept
    kernels.exponentialGates(1, step.x + columns.i, step.x + columns.f, m, kept)
    let key = weightedKey(step)
    kernels.scale(keyDim, by: kept[MLSTMLayer.Kept.old], n)
    kernels.add(keyDim, key, to: n)
    kernels.outer(
      rows: keyDim, columns: width, decay: kept[MLSTMLayer.Kept.old], key, step.x + columns.v, step.x + columns.q, c,
      step.ratio)
    let read = kernels.dot(keyDim, n, step.x + columns.q)
    let least = kept[MLSTMLayer.Kept.divisor]
    kept[MLSTMLayer.Kept.divisor] = read.magnitude > least ? read.magnitude : least
    kept[MLSTMLayer.Kept.slope] = read.magnitude > least ? (read < 0 ? -1 : 1) : 0
    kernels.scale(width, by: 1 / kept[MLSTMLayer.Kept.divisor], step.ratio)
    if layer.hasOutputGate {
      kernels.activate(UInt32(LSTM_SIGMOID), width, step.x + columns.o, y)
      kernels.multiply(width, y, step.ratio, y)
    } else {
      y.copy(from: step.ratio, count: width)
    }
  }

  // MARK: Backward

  /// Writes the gradients of k, v, o, i and f. What the gradient of q needs is left where the steps are kept: the gradients
  /// of C′ᵀq and of n′ᵀq.
  func backward(dy: Floats, into dx: MutableFloats) {
    let (dH, dN, dKey) = (value(0), key(1), key(2))
    c.clear(layer.memoryCount)
    second.clear(layer.memoryCount)
    dN.clear(keyDim)
    dH.clear(width)
    var isLast = true
    // What ln f′ of the step after this is owed, and that step's f′.
    var (owed, decay) = (0.0, Float(1))
    var earliest: MutableFloats?
    for s in stride(from: loop.x.steps - 1, through: 0, by: -1) {
      guard let step = at(s) else { continue }
      if layer.returnsSequences {
        let place = (layer.outputRow(s, loop.x) + row) * layer.units + head * width
        kernels.add(width, dy + place, to: dH)
      } else if isLast {
        dH.copy(from: dy + row * layer.units + head * width, count: width)
      }
      isLast = false
      let dx = dx + step.place * layer.columns
      if step.isMasked {
        clear(dx)
        continue
      }
      let product = gateGradient(step, dH, dx)
      let (kept, factor) = (step.kept, step.kept[MLSTMLayer.Kept.new] * scale)
      let (key, q, v) = (weightedKey(step), step.x + columns.q, step.x + columns.v)
      kernels.outer(rows: keyDim, columns: width, decay: decay, q, step.ratio, key, c, dx + columns.v)
      kernels.outer(rows: width, columns: keyDim, decay: decay, step.ratio, q, v, second, dKey)
      kernels.scale(keyDim, by: decay, dN)
      kernels.add(keyDim, kept[MLSTMLayer.Kept.slope], times: q, to: dN)
      kernels.add(keyDim, dN, to: dKey)
      let ofNew = kernels.dot(keyDim, dKey, key)
      (dx + columns.k).copy(from: dKey, count: keyDim)
      kernels.scale(keyDim, by: factor, dx + columns.k)
      owed += Double(product) - Double(ofNew)
      dx[columns.i] = ofNew
      dx[columns.f] = Float(owed) * kept[MLSTMLayer.Kept.closing]
      earliest = dx + columns.f
      decay = kept[MLSTMLayer.Kept.old]
      dH.clear(width)
    }
    // Before the first step of a sequence there is nothing to forget.
    if loop.pass.carried?.from == nil { earliest?.pointee = 0 }
  }

  private func clear(_ dx: MutableFloats) {
    (dx + columns.q).clear(keyDim)
    (dx + columns.k).clear(keyDim)
    (dx + columns.v).clear(width)
    if layer.hasOutputGate { (dx + columns.o).clear(width) }
    dx[columns.i] = 0
    dx[columns.f] = 0
  }

  /// From the gradient of h that of o, and in the places of what was kept those of C′ᵀq and n′ᵀq.
  ///
  /// - Returns: the scalar product of C′ and n′ with what this step adds to their gradients.
  private func gateGradient(_ step: Step, _ dH: MutableFloats, _ dx: MutableFloats) -> Float {
    let (kept, ratio) = (step.kept, step.ratio)
    if layer.hasOutputGate {
      let (gate, dO) = (value(1), dx + columns.o)
      kernels.activate(UInt32(LSTM_SIGMOID), width, step.x + columns.o, gate)
      kernels.multiply(width, dH, ratio, dO)
      kernels.activateBackward(UInt32(LSTM_SIGMOID), width, x: step.x + columns.o, y: gate, dy: dO, dx: dO)
      kernels.multiply(width, dH, gate, dH)
    }
    let product = kernels.dot(width, dH, ratio)
    let (inverse, slope) = (1 / kept[MLSTMLayer.Kept.divisor], kept[MLSTMLayer.Kept.slope])
    ratio.copy(from: dH, count: width)
    kernels.scale(width, by: inverse, ratio)
    kept[MLSTMLayer.Kept.slope] = -slope * product * inverse
    // Where both are divided by n′ᵀq, h is the same whatever size they have.
    return slope == 0 ? product : 0
  }

  /// Writes the gradient of q, by way of Cᵀ from the first step to the last.
  func queryGradient(into dx: MutableFloats) {
    second.clear(layer.memoryCount)
    n.clear(keyDim)
    if let from = loop.pass.carried?.from {
      n.copy(from: from + places.n, count: keyDim)
      for i in 0..<layer.memoryCount { second[i % width * keyDim + i / width] = from[places.c + i] }
    }
    for s in 0..<loop.x.steps {
      guard let step = at(s), !step.isMasked else { continue }
      let (key, old) = (weightedKey(step), step.kept[MLSTMLayer.Kept.old])
      let dQ = dx + step.place * layer.columns + columns.q
      kernels.outer(rows: width, columns: keyDim, decay: old, step.x + columns.v, key, step.ratio, second, dQ)
      kernels.scale(keyDim, by: old, n)
      kernels.add(keyDim, key, to: n)
      kernels.add(keyDim, step.kept[MLSTMLayer.Kept.slope], times: n, to: dQ)
    }
  }
}
