import CLSTMKernels
import Foundation
import LSTMTestSupport
import Testing

@Suite struct NormalizationTests {
  /// Rows of one number, part of a vector, and several with a part, near zero and far from it: against float64.
  @Test(arguments: KernelSet.all, [Float(0), 1000]) func rows(set: KernelSet, center: Float) {
    var numbers = Generator(31)
    let (rows, epsilon) = (3, Float(0.001))
    for width in [1, 2, set.lanes - 1, set.lanes, 3 * set.lanes + 1] {
      let x = numbers.floats(rows * width).map { $0 + center }
      let (gamma, beta, dy) = (numbers.floats(width), numbers.floats(width), numbers.floats(rows * width))
      var (unit, y) = ([Float](repeating: 0, count: x.count + 1), [Float](repeating: 0, count: x.count + 1))
      var (scale, dx) = ([Float](repeating: 0, count: rows), dy + [untouched])
      (unit[x.count], y[x.count]) = (untouched, untouched)
      set.table.normalize_rows(rows, width, epsilon, x, gamma, beta, &unit, &scale, &y)
      dx.withUnsafeMutableBufferPointer {
        set.table.normalize_rows_backward(rows, width, unit, scale, gamma, $0.baseAddress!, $0.baseAddress!)
      }
      #expect(isUntouched(unit[x.count]) && isUntouched(y[x.count]) && isUntouched(dx[x.count]))
      for row in 0..<rows {
        let own = (row * width..<(row + 1) * width)
        let mean = own.reduce(0) { $0 + Double(x[$1]) } / Double(width)
        let variance = own.reduce(0) { $0 + (Double(x[$1]) - mean) * (Double(x[$1]) - mean) } / Double(width)
        let factor = 1 / (variance + Double(epsilon)).squareRoot()
        let units = own.map { (Double(x[$0]) - mean) * factor }
        let g = own.map { Double(dy[$0]) * Double(gamma[$0 - own.lowerBound]) }
        let (meanOfG, along) = (
          g.reduce(0, +) / Double(width), zip(g, units).reduce(0) { $0 + $1.0 * $1.1 } / Double(width)
        )
        #expect(abs(Double(scale[row]) / factor - 1) < 1e-5)
        for i in 0..<width {
          let place = own.lowerBound + i
          #expect(abs(Double(unit[place]) - units[i]) < 4e-6)
          #expect(abs(Double(y[place]) - units[i] * Double(gamma[i]) - Double(beta[i])) < 4e-6)
          #expect(abs(Double(dx[place]) - factor * (g[i] - meanOfG - units[i] * along)) < 4e-6 * factor)
        }
      }
      // In place, without what training keeps: the same bits.
      var inPlace = x
      inPlace.withUnsafeMutableBufferPointer {
        let at = $0.baseAddress!
        set.table.normalize_rows(rows, width, epsilon, at, gamma, beta, at, nil, at)
      }
      #expect(bits(inPlace) == bits(y.dropLast()))
    }
  }
}
