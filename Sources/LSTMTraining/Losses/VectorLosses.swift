internal import LSTMDescription
internal import LSTMKernels
internal import LSTMTensors

/// -cos of the angle between outputs and targets: from -1, the same direction, to 1.
final class CosineLoss: Loss {
  static func make(_ fields: Fields) -> Loss { CosineLoss(fields, LossTraits(leastOutputs: 2)) }

  override func evaluate(_ row: LossRow) -> Double {
    let t = row.targets.values
    var (outputs, targets, product) = (0.0, 0.0, 0.0)
    for j in 0..<row.width {
      let (y, t) = (Double(row.outputs[j]), Double(t[j]))
      outputs += y * y
      targets += t * t
      product += y * t
    }
    // A vector shorter than that is divided by it.
    let least = 1e-7
    let length = outputs.squareRoot()
    let isShort = length < least
    let scale = 1 / (isShort ? least : length)
    let targetScale = 1 / max(targets.squareRoot(), least)
    let cosine = product * scale * targetScale
    if let gradient = row.gradient {
      for j in 0..<row.width {
        let along = isShort ? 0 : cosine * Double(row.outputs[j]) * scale
        gradient[j] = Float(row.weight * scale * (along - Double(t[j]) * targetScale))
      }
    }
    return -cosine
  }
}

/// t·d² + (1 - t)·max(margin - d, 0)², which draws what belongs together (t = 1) to a distance d of 0, and pushes the rest
/// to the margin. Outputs are distances, one for each target; with `pairs` they are two vectors beside each other, d is
/// the distance between them, and an element has one target.
///
/// - Source: Hadsell, Chopra & LeCun 2006, in the form of TensorFlow Addons.
final class ContrastiveLoss: Loss {
  private let margin: Double

  private init(_ fields: Fields, margin: Double, takesPairs: Bool) {
    self.margin = margin
    super.init(fields, LossTraits(targets: .probabilities, blocks: takesPairs ? 0 : 1))
  }

  static func make(_ fields: Fields) throws(LSTMError) -> Loss {
    let margin = try fields.number("margin", default: 1, .positive)
    return ContrastiveLoss(fields, margin: margin, takesPairs: try fields.boolean("pairs", default: false))
  }

  /// The loss of a distance, and its derivative.
  private func at(_ d: Double, _ t: Double) -> (loss: Double, slope: Double) {
    // Not `max`: a NaN must stay one.
    let gap = d > margin ? 0 : margin - d
    return (t * d * d + (1 - t) * gap * gap, 2 * (t * d - (1 - t) * gap))
  }

  override func evaluate(_ row: LossRow) -> Double {
    let targets = row.targets.values
    if traits.blocks == 0 { return ofPair(row, Double(targets[0])) }
    var total = 0.0
    for j in 0..<row.width {
      let one = at(Double(row.outputs[j]), Double(targets[j]))
      total += one.loss
      row.gradient?[j] = Float(row.weight * one.slope / Double(row.width))
    }
    return total / Double(row.width)
  }

  private func ofPair(_ row: LossRow, _ t: Double) -> Double {
    let half = row.width / 2
    let (a, b) = (row.outputs, row.outputs + half)
    var square = 0.0
    for j in 0..<half {
      let difference = Double(a[j]) - Double(b[j])
      square += difference * difference
    }
    let d = square.squareRoot()
    let one = at(d, t)
    if let gradient = row.gradient {
      // Of two equal vectors no direction leads apart.
      let slope = d == 0 ? 0 : one.slope / d
      for j in 0..<half {
        let part = Float(row.weight * slope * (Double(a[j]) - Double(b[j])))
        (gradient[j], gradient[half + j]) = (part, -part)
      }
    }
    return one.loss
  }
}
