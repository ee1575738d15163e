internal import LSTMDescription
internal import LSTMTensors

/// The fields that every layer with parameters has: 'regularizers' and 'constraints', objects with a member for each kind
/// of parameter that has one.
extension ParameterPlan {
  /// Reads them for a layer's parameters, those from `first` on.
  mutating func readRules(_ fields: Fields, layer: String, from first: Int) throws(LSTMError) {
    let before = self
    if !entries[first...].contains(where: { $0.isTrainable }) { return }
    try fields.forEachKind("regularizers", before, layer, first) { (index, rule) throws(LSTMError) in
      self.penalize(index, try rule.penalty())
    }
    try fields.forEachKind("constraints", before, layer, first) { (index, rule) throws(LSTMError) in
      self.constrain(index, try rule.constraint(rank: before.entries[index].shape.rank))
    }
  }

  /// The name of a parameter without that of its layer.
  fileprivate func kind(_ index: Int, of layer: String) -> Substring.UTF8View {
    entries[index].name.utf8.dropFirst(layer.utf8.count + 1)
  }
}

extension Fields {
  /// Reads an object with members for some kinds of a layer's parameters, and records it, unless it is not there.
  fileprivate func forEachKind(
    _ key: StaticString, _ plan: ParameterPlan, _ layer: String, _ first: Int,
    _ body: (Int, Fields) throws(LSTMError) -> Void
  ) throws(LSTMError) {
    guard let given = value(key) else { return }
    guard given.isObject else { throw error(key, "an object with members for kinds of parameters", given) }
    try record.key(key)
    try record.open("{")
    try given.forEach { (member) throws(LSTMError) in
      var found: Int?
      for i in first..<plan.entries.count where plan.entries[i].isTrainable {
        if plan.kind(i, of: layer).elementsEqual(member.key) { found = i }
      }
      guard let index = found else {
        throw .argument(
          "\(path).\(key): expected the kinds of trainable parameters of the layer\(kinds(plan, layer, first)), got "
            + "\(quoted(member.key))")
      }
      let kind = String(decoding: plan.kind(index, of: layer), as: UTF8.self)
      let rule = try Fields(member, path: path + "." + key.text + "." + kind)
      try body(index, rule)
      try rule.finish()
      try record.key(name: kind)
      try record.open("{")
      try record.json(rule.record)
      try record.close("}")
    }
    try record.close("}")
  }

  private func kinds(_ plan: ParameterPlan, _ layer: String, _ first: Int) -> String {
    var text = ""
    for i in first..<plan.entries.count where plan.entries[i].isTrainable {
      text += text.isEmpty ? ", as " : ", "
      text += String(decoding: plan.kind(i, of: layer), as: UTF8.self)
    }
    return text
  }

  fileprivate func penalty() throws(LSTMError) -> Penalty {
    switch try type(of: ["l1", "l2", "l1_l2"]) {
    case 0: return Penalty(l1: try strength("l1"), l2: 0)
    case 1: return Penalty(l1: 0, l2: try strength("l2"))
    default: return Penalty(l1: try strength("l1"), l2: try strength("l2"))
    }
  }

  private func strength(_ key: StaticString) throws(LSTMError) -> Float {
    Float(try number(key, default: 0.01, expected: "a number of at least 0") { $0 >= 0 && Float($0).isFinite })
  }

  fileprivate func constraint(rank: Int) throws(LSTMError) -> Constraint {
    let rule: Constraint.Rule
    switch try type(of: ["max_norm", "non_neg", "unit_norm", "min_max_norm"]) {
    case 0: rule = .maxNorm(try norm("max_value", default: 2))
    case 1: return Constraint(.nonnegative, axis: 0)
    case 2: rule = .unitNorm
    default:
      let least = try norm("min_value", default: 0)
      let most = try norm("max_value", default: 1)
      guard least <= most else { throw error("max_value", "at least min_value", nil) }
      let rate = try number("rate", default: 1, expected: "a number from 0 to 1") { $0 >= 0 && $0 <= 1 }
      rule = .minMaxNorm(least: least, most: most, rate: Float(rate))
    }
    return Constraint(rule, axis: try integer("axis", 0...rank - 1, default: 0))
  }

  private func norm(_ key: StaticString, default standard: Double) throws(LSTMError) -> Float {
    Float(try number(key, default: standard, expected: "a number of at least 0") { $0 >= 0 && Float($0).isFinite })
  }
}
