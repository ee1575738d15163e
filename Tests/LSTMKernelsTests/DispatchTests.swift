import CLSTMKernels
import Testing

@Suite struct DispatchTests {
  @Test func autoIsTheWidestSetThatRunsHere() {
    var known: Int32 = 0
    let auto = lstm_kernels_named("auto", &known)
    #expect(known == 1)
    #expect(auto?.pointee.lanes == KernelSet.all.map(\.lanes).max())
  }

  @Test(arguments: ["baseline", "avx2", "avx512", "neon"]) func aKnownNameGivesItsTableOrNone(name: String) {
    var known: Int32 = 0
    let table = lstm_kernels_named(name, &known)
    #expect(known == 1)
    if let table { #expect(String(cString: table.pointee.name) == name) }
  }

  @Test(arguments: ["", "AVX2", "avx", "avx5120", "sse2"]) func anUnknownNameIsRefused(name: String) {
    var known: Int32 = 1
    #expect(lstm_kernels_named(name, &known) == nil)
    #expect(known == 0)
  }

  @Test func theBaselineRunsEverywhere() {
    #expect(KernelSet.all.contains { $0.testDescription == "baseline" })
  }
}
