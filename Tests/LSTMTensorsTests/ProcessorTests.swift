import Foundation
import LSTMTensors
import Testing

/// What /proc says about the cgroups, the files of the groups, and how many processors that leaves.
struct QuotaCase: CustomTestStringConvertible {
  let testDescription: String
  let groups: String
  let mounts: String
  let files: [String: String]
  let quota: Int

  init(_ name: String, _ groups: String, _ mounts: String, _ files: [String: String], _ quota: Int) {
    (testDescription, self.groups, self.mounts, self.files, self.quota) = (name, groups, mounts, files, quota)
  }
}

private let mount = "/sys/fs/cgroup"
private let mount1 = mount + "/cpu,cpuacct"

// Mounts as Linux lists them; the fields between the options and the dash are optional.
private let other = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw,cpu\n"

private func line1(_ mount: String, _ controllers: String) -> String {
  "32 31 0:29 / \(mount) rw,relatime - cgroup cgroup rw,\(controllers)\n"
}

private func line2(_ root: String, _ mount: String) -> String {
  "30 23 0:26 \(root) \(mount) rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
}

private func version1(_ controllers: String = "cpu,cpuacct") -> String {
  other + line1(mount + "/memory", "memory") + line1(mount1, controllers)
}

private func version2(_ root: String = "/", at mount: String = mount) -> String { other + line2(root, mount) }

private let quotaCases = [
  QuotaCase("nothing at all", "", "", [:], .max),
  QuotaCase("no quota", "0::/a\n", version2(), [mount + "/a/cpu.max": "max 100000\n"], .max),
  QuotaCase("whole", "0::/a\n", version2(), [mount + "/a/cpu.max": "300000 100000\n"], 3),
  QuotaCase("rounded up", "0::/a\n", version2(), [mount + "/a/cpu.max": "300001 100000\n"], 4),
  QuotaCase("less than one", "0::/a\n", version2(), [mount + "/a/cpu.max": "1000 100000\n"], 1),
  QuotaCase("at the mount", "0::/\n", version2(), [mount + "/cpu.max": "200000 100000\n"], 2),
  QuotaCase(
    "of a parent", "0::/a/b/c\n", version2(),
    [
      mount + "/a/b/c/cpu.max": "500000 100000\n",
      mount + "/a/b/cpu.max": "max 100000\n",
      mount + "/a/cpu.max": "40000 20000\n",
      mount + "/d/cpu.max": "100 100000\n",
      "/cpu.max": "100 100000\n",
    ], 2),
  QuotaCase(
    "of a group whose name another's begins with", "0::/pod-1\n", version2("/pod"),
    [mount + "/cpu.max": "300000 100000\n", mount + "-1/cpu.max": "1 100000\n"], 3),
  QuotaCase(
    "a container that sees its own branch", "0::/docker/1f/job\n", version2("/docker/1f"),
    [mount + "/job/cpu.max": "300000 100000\n", mount + "/docker/1f/job/cpu.max": "1 100000\n"], 3),
  QuotaCase("outside the namespace", "0::/../x\n", version2(), [mount + "/cpu.max": "200000 100000\n"], 2),
  QuotaCase(
    "a mount with a space", "0::/a\n", version2(at: #"/my\040groups"#), ["/my groups/a/cpu.max": "200000 100000\n"], 2),
  QuotaCase(
    "version 1", "4:memory:/m\n3:cpu,cpuacct:/a:b\n2:cpuset:/c\n", version1(),
    [
      mount1 + "/a:b/cpu.cfs_quota_us": "250000\n",
      mount1 + "/a:b/cpu.cfs_period_us": "100000\n",
      mount + "/memory/a:b/cpu.cfs_quota_us": "1\n",
      mount + "/memory/a:b/cpu.cfs_period_us": "1\n",
    ], 3),
  QuotaCase(
    "version 1, no quota but the parent's", "3:cpu:/a/b\n", version1("cpu"),
    [
      mount1 + "/a/b/cpu.cfs_quota_us": "-1\n",
      mount1 + "/a/b/cpu.cfs_period_us": "100000\n",
      mount1 + "/a/cpu.cfs_quota_us": "700000",
      mount1 + "/a/cpu.cfs_period_us": "100000",
    ], 7),
  QuotaCase(
    "both versions", "3:cpu:/a\n0::/b\n", version1() + line2("/", mount + "/unified"),
    [
      mount1 + "/a/cpu.cfs_quota_us": "500000\n",
      mount1 + "/a/cpu.cfs_period_us": "100000\n",
      mount + "/unified/b/cpu.max": "400000 100000\n",
    ], 4),
  QuotaCase(
    "no cpu controller", "3:cpuset,cpuacct:/a\n", version1("cpuset,cpuacct"),
    [mount1 + "/a/cpu.cfs_quota_us": "500000\n", mount1 + "/a/cpu.cfs_period_us": "100000\n"], .max),
  QuotaCase(
    "garbage", "0\n0:\n:::\n0::\n0::/a" + String(repeating: "x", count: 9000) + "\n0::/a\n",
    "1 2\n - cgroup2\n1 2 3 / - cgroup2 x rw\n" + String(repeating: "9", count: 9000) + "\n" + version2(),
    [mount + "/a/cpu.max": "200000 100000\n", mount + "/cpu.max": "99999999999999999999999 1\n"], 2),
  QuotaCase("a period of zero", "0::/a\n", version2(), [mount + "/a/cpu.max": "200000 0\n"], .max),
  QuotaCase("half a line", "0::/a\n", version2(), [mount + "/a/cpu.max": "200000"], .max),
  QuotaCase("no line", "0::/a\n", version2(), [mount + "/a/cpu.max": ""], .max),
]

@Suite(.serialized) struct ProcessorTests {
  @Test(arguments: quotaCases)
  func quota(_ one: QuotaCase) throws {
    let root = FileManager.default.temporaryDirectory.appending(path: "lstm-quota-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: root) }
    let proc = ["/proc/self/cgroup": one.groups, "/proc/self/mountinfo": one.mounts]
    for (path, text) in one.files.merging(proc, uniquingKeysWith: { file, _ in file }) {
      let file = root.appending(path: path)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: file)
    }
    let before = try openFiles()
    Array(root.path.utf8).withUnsafeBufferPointer { root in
      for _ in 0..<100 { #expect(Team.quota(below: root) == one.quota) }
    }
    #expect(try openFiles() < before + 50)  // none stays open, but other tests open some
  }

  private func openFiles() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }

  /// The affinity itself is checked in Tests/Threads.
  @Test func processorsKeepToTheAffinity() {
    #expect((1...Team.affinity()).contains(Team.processors()))
  }
}
