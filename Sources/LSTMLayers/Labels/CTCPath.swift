/// Makes labels of a path of connectionist temporal classification, in its place: repeats are taken together, then blanks
/// left out.
///
/// - Returns: how many labels there are.
public func collapsePath(_ path: UnsafeMutablePointer<Int32>, _ count: Int, blank: Int) -> Int {
  var (labels, last) = (0, Int32(-1))
  for i in 0..<count {
    let class_ = path[i]
    if class_ != last, class_ != Int32(truncatingIfNeeded: blank) {
      path[labels] = class_
      labels += 1
    }
    last = class_
  }
  return labels
}
