internal import CLSTMShim
internal import LSTMKernels

extension Team {
  /// How many workers are worth having here, at least 1: what affinity and cgroups leave to this process. Reads files:
  /// for once an object, not for each call.
  public static func processors() -> Int { min(affinity(), quota(below: Bytes(start: nil, count: 0))) }

  /// The affinity's part of it.
  public static func affinity() -> Int { Int(shim_affinity()) }

  /// The cgroups' part of it: the smallest quota, rounded up; .max when there is none.
  ///
  /// A quota lies in a file of the cgroup's folder, and so do those of the groups around it, which hold as well. Where
  /// the folder is, two files of /proc say: `cgroup` names the group (its path), and `mountinfo` says where the tree of
  /// groups (of which a container sees only a branch, the mount's root) can be read.
  ///
  /// - Parameter root: nothing, or the folder that stands for / in a test.
  public static func quota(below root: UnsafeBufferPointer<UInt8>) -> Int {
    // On the stack: an allocation might fail.
    var memory = InlineArray<8192, UInt8>(repeating: 0)
    var span = memory.mutableSpan
    return span.withUnsafeMutableBufferPointer { memory in
      guard let start = memory.baseAddress else { return .max }
      var search = Search(root, start)
      search.readGroups()
      return search.smallestQuota()
    }
  }
}

private typealias Bytes = UnsafeBufferPointer<UInt8>

extension UnsafeBufferPointer<UInt8> {
  fileprivate func spells(_ text: StaticString) -> Bool { text.matches(self) }

  /// Cuts off what stands before the next separator, and the separator: everything where there is none.
  fileprivate mutating func cut(at separator: Unicode.Scalar) -> Self {
    let end = firstIndex(of: UInt8(ascii: separator)) ?? count
    let piece = Self(rebasing: self[..<end])
    self = Self(rebasing: self[Swift.min(end + 1, count)...])
    return piece
  }

  /// Whether a list of words between commas has this word.
  fileprivate func has(_ word: StaticString) -> Bool {
    var rest = self
    while !rest.isEmpty {
      if rest.cut(at: ",").spells(word) { return true }
    }
    return false
  }

  /// A positive number, .max for a larger one; nil for all else, as "max" and -1.
  fileprivate var number: Int? {
    guard let first, first != UInt8(ascii: "0") else { return nil }
    var value = 0
    for byte in self {
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tens.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
      value = overflow || carry ? .max : sum
    }
    return value
  }
}

/// A path in memory that it is lent, ended by a zero byte.
private struct Path {
  static let size = 1024
  let start: UnsafeMutablePointer<UInt8>
  private(set) var count = 0

  init(_ start: UnsafeMutablePointer<UInt8>) { self.start = start }

  var bytes: Bytes { Bytes(start: start, count: count) }

  mutating func cut(to count: Int) {
    self.count = count
    start[count] = 0
  }

  /// False for what does not fit, and then it is as before.
  mutating func append(_ text: Bytes) -> Bool {
    guard text.count < Self.size - count else { return false }
    if let from = text.baseAddress { (start + count).copy(from: from, count: text.count) }
    cut(to: count + text.count)
    return true
  }

  mutating func append(_ text: StaticString) -> Bool {
    append(Bytes(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// What does not fit leaves it as it was.
  mutating func replace(by text: Bytes) {
    if text.count >= Self.size { return }
    cut(to: 0)
    _ = append(text)
  }

  /// A name of mountinfo, which writes white space and backslashes as \ and three octal digits.
  mutating func append(unescaped name: Bytes) -> Bool {
    var (from, to) = (count, count)
    guard append(name) else { return false }
    while from < count {
      let escapes = start[from] == UInt8(ascii: "\\") && from + 3 < count
      start[to] = escapes ? start[from + 1] << 6 | (start[from + 2] & 7) << 3 | start[from + 3] & 7 : start[from]
      (from, to) = (from + (escapes ? 4 : 1), to + 1)
    }
    cut(to: to)
    return true
  }
}

/// The lines of a file, without their ends. Of a line longer than the memory, pieces.
private struct Lines {
  private let file: Int32
  private let memory: UnsafeMutableBufferPointer<UInt8>
  private var rest: Bytes

  /// nil when there is no such file.
  init?(_ path: Path, _ memory: UnsafeMutableBufferPointer<UInt8>) {
    file = shim_open(path.start)
    self.memory = memory
    rest = Bytes(start: memory.baseAddress, count: 0)
    if file < 0 { return nil }
  }

  func close() { shim_close(file) }

  /// nil after the last.
  mutating func next() -> Bytes? {
    if !rest.contains(UInt8(ascii: "\n")), let start = memory.baseAddress, let from = rest.baseAddress {
      start.copy(from: from, count: rest.count)
      let count = rest.count + shim_read(file, start + rest.count, memory.count - rest.count)
      rest = Bytes(start: start, count: count)
    }
    return rest.isEmpty ? nil : rest.cut(at: "\n")
  }
}

/// One search for quotas, in memory that it is lent.
private struct Search {
  private let root: Bytes
  /// The paths of this process's groups, empty where there is none: of the tree of version 1 that has the cpu
  /// controller, and of the one tree of version 2.
  private var (group1, group2): (Path, Path)
  private var folder: Path
  private let (figures, text): (UnsafeMutableBufferPointer<UInt8>, UnsafeMutableBufferPointer<UInt8>)

  init(_ root: Bytes, _ memory: UnsafeMutablePointer<UInt8>) {
    self.root = root
    (group1, group2, folder) = (Path(memory), Path(memory + Path.size), Path(memory + 2 * Path.size))
    figures = UnsafeMutableBufferPointer(start: memory + 3 * Path.size, count: Path.size)
    text = UnsafeMutableBufferPointer(start: memory + 4 * Path.size, count: 4 * Path.size)
  }

  mutating func readGroups() {
    guard var lines = open("/proc/self/cgroup") else { return }
    while var path = lines.next() {
      let tree = path.cut(at: ":"), controllers = path.cut(at: ":")
      if path.first != UInt8(ascii: "/") { continue }
      if tree.spells("0") { group2.replace(by: path) }
      if controllers.has("cpu") { group1.replace(by: path) }
    }
    lines.close()
  }

  mutating func smallestQuota() -> Int {
    guard var lines = open("/proc/self/mountinfo") else { return .max }
    var smallest = Int.max
    while let line = lines.next() { smallest = min(smallest, quota(ofMount: line)) }
    lines.close()
    return smallest
  }

  private mutating func open(_ name: StaticString) -> Lines? {
    folder.cut(to: 0)
    return folder.append(root) && folder.append(name) ? Lines(folder, text) : nil
  }

  /// - Parameter line: number, parent, device, root, mount, options, optional fields, "-", type, source, options of the
  ///   type.
  private mutating func quota(ofMount line: Bytes) -> Int {
    var rest = line
    for _ in 0..<3 { _ = rest.cut(at: " ") }
    let branch = rest.cut(at: " "), mount = rest.cut(at: " ")
    while !rest.isEmpty && !rest.cut(at: " ").spells("-") {}
    let type = rest.cut(at: " ")
    _ = rest.cut(at: " ")
    if type.spells("cgroup2") { return quota(of: group2, isVersion2: true, in: mount, showing: branch) }
    let isVersion1 = type.spells("cgroup") && rest.has("cpu")
    return isVersion1 ? quota(of: group1, isVersion2: false, in: mount, showing: branch) : .max
  }

  /// The smallest quota from this group, as the mount shows it, up to the mount's own folder.
  private mutating func quota(of group: Path, isVersion2: Bool, in mount: Bytes, showing branch: Bytes) -> Int {
    if group.count == 0 { return .max }
    let below = place(of: group, in: branch)
    folder.cut(to: 0)
    guard folder.append(root), folder.append(unescaped: mount) else { return .max }
    let top = folder.count
    guard folder.append(below) else { return .max }
    var smallest = quotaOfFolder(isVersion2)
    while let slash = folder.bytes[top...].lastIndex(of: UInt8(ascii: "/")) {
      folder.cut(to: slash)
      smallest = min(smallest, quotaOfFolder(isVersion2))
    }
    return smallest
  }

  /// The path of a group below the branch that a mount shows; empty for one that is elsewhere.
  private mutating func place(of group: Path, in branch: Bytes) -> Bytes {
    let elsewhere = Bytes(start: nil, count: 0)
    folder.cut(to: 0)
    guard folder.append(unescaped: branch) else { return elsewhere }
    if folder.bytes.spells("/") { folder.cut(to: 0) }
    guard group.bytes.starts(with: folder.bytes) else { return elsewhere }
    let below = Bytes(rebasing: group.bytes[folder.count...])
    let isOutside = Bytes(rebasing: below.prefix(3)).spells("/..")  // of the namespace
    return below.first == UInt8(ascii: "/") && !isOutside ? below : elsewhere
  }

  private mutating func quotaOfFolder(_ isVersion2: Bool) -> Int {
    let first = numbers(isVersion2 ? "/cpu.max" : "/cpu.cfs_quota_us")
    let period = isVersion2 ? first.1 : numbers("/cpu.cfs_period_us").0
    guard let quota = first.0, let period else { return .max }
    return (quota - 1) / period + 1
  }

  /// The first two on the first line of the folder's file.
  private mutating func numbers(_ name: StaticString) -> (Int?, Int?) {
    let count = folder.count
    defer { folder.cut(to: count) }
    guard folder.append(name), var lines = Lines(folder, figures) else { return (nil, nil) }
    defer { lines.close() }
    guard var line = lines.next() else { return (nil, nil) }
    return (line.cut(at: " ").number, line.cut(at: " ").number)
  }
}
