import CLSTMKernels
import Foundation
import Testing

/// Steps of cells whose inputs have been multiplied before, against float64: several vectors, the last of them partial, rows
/// of which one is masked, and memory around the units that must stay as it is.
@Suite struct ScanTests {
  private static let mask: [UInt8] = [1, 0, 1]
  private static let rows = mask.count

  /// Rows of `gates` gates of `units` numbers, with a gap behind each gate.
  private struct Layout {
    let units, gates: Int
    var gate: Int { units + 1 }
    var row: Int { gates * gate }
    var count: Int { ScanTests.rows * row }
    func at(_ row: Int, _ gate: Int, _ unit: Int) -> Int { row * self.row + gate * self.gate + unit }
    /// Whether a place is in a gap.
    func isGap(_ i: Int) -> Bool { i % gate == units }
  }

  private func values(_ count: Int, _ range: ClosedRange<Float>) -> [Float] {
    var random = SystemRandomNumberGenerator()
    return (0..<count).map { _ in Float.random(in: range, using: &random) }
  }

  private func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
  private func isNear(_ got: Float, _ want: Double) -> Bool { abs(Double(got) - want) <= 2e-6 * max(1, abs(want)) }

  @Test(arguments: KernelSet.all, [1, 2]) func minimalEqualsFloat64(set: KernelSet, gates: Int) {
    for units in [1, set.lanes - 1, 2 * set.lanes + 3] {
      for aboveZero in [UInt32(0), 1] {
        let layout = Layout(units: units, gates: gates + 1), states = Layout(units: units, gates: 1)
        // Gates that are nearly closed must not be divided 0 by 0.
        let x = values(layout.count, -4...4).map { $0 < -3.5 ? -99 : $0 }, h = values(states.count, -2...2)
        let next = onCopies(of: x, h, [Float](repeating: untouched, count: states.count)) { p in
          Self.mask.withUnsafeBufferPointer { mask in
            var step = lstm_scan()
            (step.rows, step.units, step.mask) = (Self.rows, units, mask.baseAddress)
            (step.gates_of_weight, step.above_zero) = (UInt32(gates), aboveZero)
            (step.x, step.x_row, step.gate) = (UnsafePointer(p[0]), layout.row, layout.gate)
            (step.row, step.h, step.h_next) = (states.row, UnsafePointer(p[1]), p[2])
            set.table.minimal_forward(&step)
          }
        }[2]
        for row in 0..<Self.rows {
          #expect(isUntouched(next[states.at(row, 0, units)]))
          for unit in 0..<units {
            let before = h[states.at(row, 0, unit)], got = next[states.at(row, 0, unit)]
            if Self.mask[row] == 0 {
              #expect(got == before)
              continue
            }
            let z = (0...gates).map { Double(x[layout.at(row, $0, unit)]) }
            let odds = gates == 1 ? 1 / sigmoid(z[0]) - 1 : (1 + exp(-z[0])) / (1 + exp(-z[1]))
            let n = aboveZero == 0 ? z[gates] : z[gates] >= 0 ? z[gates] + 0.5 : sigmoid(z[gates])
            #expect(isNear(got, Double(before) + (n - Double(before)) / (1 + odds)), "\(z)")
          }
        }
      }
    }
  }

  @Test(arguments: KernelSet.all) func slstmEqualsFloat64(set: KernelSet) {
    for units in [1, set.lanes - 1, 2 * set.lanes + 3] {
      let layout = Layout(units: units, gates: 4), states = Layout(units: units, gates: 1)
      let x = values(layout.count, -9...9), products = values(layout.count, -1...1)
      let h = values(states.count, -1...1), c = values(states.count, -1...1), m = values(states.count, -5...5)
      // A unit that has seen nothing: n, and with it c, is 0.
      let n = values(states.count, 1...3).enumerated().map { $0.offset % 3 == 0 ? 0 : $0.element }
      let start = zip(c, n).map { $1 == 0 ? 0 : $0 }
      let after = onCopies(of: x, products, h, start, n, m) { p in
        Self.mask.withUnsafeBufferPointer { mask in
          var step = lstm_scan()
          (step.rows, step.units, step.mask) = (Self.rows, units, mask.baseAddress)
          (step.x, step.x_row, step.gate, step.gates) = (UnsafePointer(p[0]), layout.row, layout.gate, p[1])
          (step.row, step.h, step.c, step.n) =
            (states.row, UnsafePointer(p[2]), UnsafePointer(p[3]), UnsafePointer(p[4]))
          (step.h_next, step.c_next, step.n_next, step.m) = (p[2], p[3], p[4], p[5])
          set.table.slstm_forward(&step)
        }
      }
      for row in 0..<Self.rows {
        for unit in 0..<units {
          let at = states.at(row, 0, unit)
          if Self.mask[row] == 0 {
            #expect([after[2][at], after[3][at], after[4][at], after[5][at]] == [h[at], start[at], n[at], m[at]])
            continue
          }
          let z = (0..<4).map { Double(x[layout.at(row, $0, unit)]) + Double(products[layout.at(row, $0, unit)]) }
          let kept = log(sigmoid(z[1])) + Double(m[at])
          let most = n[at] == 0 ? z[0] : max(kept, z[0])
          let (new, old) = (exp(z[0] - most), n[at] == 0 ? 0 : exp(kept - most))
          let (nextC, nextN) = (old * Double(start[at]) + new * tanh(z[2]), old * Double(n[at]) + new)
          #expect(isNear(after[3][at], nextC) && isNear(after[4][at], nextN) && isNear(after[5][at], most))
          #expect(isNear(after[2][at], sigmoid(z[3]) * nextC / nextN))
        }
      }
      #expect((0..<states.count).allSatisfy { !states.isGap($0) || after[2][$0] == h[$0] })
    }
  }

  @Test(arguments: KernelSet.all) func gatesAreStable(set: KernelSet) {
    let f: [Float] = [-300, -20, -1, -0.0, 1, 20, 300], i: [Float] = [5, -90, 0, 0.5, -300, 300, 2]
    let m: [Float] = [0, 3, -2, 90, -400, 1, 80]
    let after = onCopies(of: i, f, m, [Float](repeating: untouched, count: 4 * f.count + 1)) { p in
      set.table.exponential_gates(f.count, p[0], p[1], p[2], p[3])
    }
    for k in 0..<f.count {
      let log = min(0, Double(f[k])) - log1p(exp(-abs(Double(f[k])))), most = max(log + Double(m[k]), Double(i[k]))
      let expected = [
        exp(Double(i[k]) - most), exp(log + Double(m[k]) - most), 1 / (1 + exp(Double(f[k]))),
        exp(-min(80, max(-80, most))),
      ]
      #expect(isNear(after[2][k], most))
      for (gate, want) in expected.enumerated() {
        // Beyond the range of float both are nothing.
        #expect(abs(Double(after[3][gate * f.count + k]) - want) <= 1e-5 * want + 1e-38, "gate \(gate) of \(k)")
      }
    }
    #expect(isUntouched(after[3][4 * f.count]))
  }

  @Test(arguments: KernelSet.all) func outerEqualsFloat64(set: KernelSet) {
    for columns in [0, 1, set.lanes - 1, 4 * set.lanes, 9 * set.lanes + 2] {
      let rows = 5, decay: Float = 0.75
      let (a, w, b) = (values(rows, -1...1), values(rows, -1...1), values(columns, -1...1))
      let s = values(rows * columns + 1, -1...1)
      let after = onCopies(of: a, b, w, s, [Float](repeating: untouched, count: columns + 1)) { p in
        set.table.outer(rows, columns, decay, p[0], p[1], p[2], p[3], p[4])
      }
      for l in 0..<columns {
        var sum = 0.0
        for r in 0..<rows {
          let next = Double(decay) * Double(s[r * columns + l]) + Double(a[r]) * Double(b[l])
          #expect(isNear(after[3][r * columns + l], next))
          sum += Double(w[r]) * next
        }
        #expect(isNear(after[4][l], sum))
      }
      #expect(after[3][rows * columns] == s[rows * columns] && isUntouched(after[4][columns]))
    }
  }
}
