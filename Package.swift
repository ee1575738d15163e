// swift-tools-version: 6.2
import PackageDescription

// The release library is built in Embedded Swift, which `make` asks for through LSTM_EMBEDDED; debug builds, tests and
// sanitizers use ordinary Swift. Both compile the same sources.
let embedded = Context.environment["LSTM_EMBEDDED"] != nil

let swiftSettings: [SwiftSetting] =
  [.enableUpcomingFeature("InternalImportsByDefault"), .enableUpcomingFeature("ExistentialAny")]
  + (embedded ? [.enableExperimentalFeature("Embedded")] : [])
let cSettings: [CSetting] = embedded ? [.define("LSTM_EMBEDDED")] : []

/// A floor of the house: a Swift module and those below it that it may import.
func floor(_ name: String, on below: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: below, swiftSettings: swiftSettings)
}

/// The modules of the library that tests may look into, below the C ABI.
let floors: [Target.Dependency] = [
  "LSTMTraining", "LSTMModels", "LSTMLayers", "LSTMDescription", "LSTMTensors", "LSTMKernels",
]

/// - Parameters:
///   - exclude: what lies beside the tests and is no Swift.
///   - optimized: in debug builds too, for tests that go over billions of numbers.
func tests(of module: String, exclude: [String] = [], optimized: Bool = false) -> Target {
  .testTarget(
    name: module + "Tests", dependencies: floors + ["LSTMTestSupport", "CLSTMKernels"], exclude: exclude,
    swiftSettings: swiftSettings + (optimized ? [.unsafeFlags(["-O"])] : []))
}

let package = Package(
  name: "liblstm",
  products: [
    .library(name: "lstm", type: .dynamic, targets: ["LSTMCAPI"])
  ],
  targets: [
    .systemLibrary(name: "CLSTM", path: "include"),
    .target(
      name: "CLSTMShim", exclude: ["unicode_tables.inc"], cSettings: cSettings, linkerSettings: [.linkedLibrary("m")]),
    .target(name: "CLSTMKernels", exclude: ["kernels.inc"]),
    floor("LSTMKernels", on: ["CLSTMKernels"]),
    floor("LSTMTensors", on: ["LSTMKernels", "CLSTMShim"]),
    floor("LSTMDescription", on: ["LSTMTensors", "CLSTMShim"]),
    floor("LSTMLayers", on: ["LSTMDescription", "LSTMTensors", "LSTMKernels", "CLSTMShim"]),
    floor("LSTMModels", on: ["LSTMLayers", "LSTMDescription", "LSTMTensors", "LSTMKernels", "CLSTMShim"]),
    floor("LSTMTraining", on: ["LSTMModels", "LSTMDescription", "LSTMTensors", "LSTMKernels", "CLSTMShim"]),
    floor("LSTMCAPI", on: ["LSTMTraining", "LSTMModels", "LSTMTensors", "LSTMKernels", "CLSTMShim", "CLSTM"]),
    .target(
      name: "LSTMTestSupport", dependencies: floors, path: "Tests/LSTMTestSupport", swiftSettings: swiftSettings),
    tests(of: "LSTMKernels", exclude: ["fit_polynomials.py"], optimized: true),
    tests(of: "LSTMTensors", exclude: ["make_philox_cases.py"]),
    tests(of: "LSTMDescription", exclude: ["make_json_cases.py", "json_cases.json"]),
    tests(of: "LSTMLayers", exclude: ["make_text_cases.py", "text_cases.json"]),
    tests(of: "LSTMModels"),
    tests(of: "LSTMTraining"),
  ]
)
