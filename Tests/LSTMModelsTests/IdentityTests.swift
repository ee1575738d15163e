import Foundation
import LSTMKernels
import LSTMModels
import LSTMTestSupport
import Testing

/// What must come back as it was, and what must not.
@Suite struct IdentityTests {
  private func sample(_ example: Example, _ model: Model) -> Sample { example.sample(.wide, for: model) }

  @Test(arguments: examples)
  func descriptionDescribesItself(_ example: Example) throws {
    let described = try example.model(.wide).described()
    #expect(try makeModel(described).described() == described)
    // It says everything: another JSON reader finds each field of the model in it.
    let root = try JSONSerialization.jsonObject(with: Data(described.utf8)) as! [String: Any]
    #expect((root["layers"] as! [[String: Any]]).last?["type"] as? String != nil)
    #expect(root["seed"] as? Int == 5)
  }

  @Test(arguments: examples, kernelSets())
  func savingIsTheIdentity(_ example: Example, _ kernels: Kernels) throws {
    let model = try example.model(.wide, kernels)
    let bytes = try model.saved()
    let loaded = try loadModel(bytes, kernels)
    #expect(try loaded.saved() == bytes)
    #expect(bits(loaded.weights) == bits(model.weights))
    #expect(try loaded.described() == model.described())
    let x = sample(example, model)
    #expect(bits(try loaded.predicted(x)) == bits(try model.predicted(x)))
  }

  /// A clone (which is what comes of saved bytes) shares nothing with its original.
  @Test(arguments: examples)
  func copiesAreIndependent(_ example: Example) throws {
    let model = try example.model(.wide)
    let x = sample(example, model)
    let before = bits(try model.predicted(x))
    let copy = try loadModel(try model.saved())
    copy.setWeights(model.weights.map { $0 * 2 + 0.1 })
    #expect(bits(try model.predicted(x)) == before)
    #expect(bits(try copy.predicted(x)) != before)
  }

  @Test(arguments: examples)
  func seedDecidesTheWeights(_ example: Example) throws {
    let one = try makeModel(example.json(.wide, seed: 1))
    #expect(bits(try makeModel(example.json(.wide, seed: 1)).weights) == bits(one.weights))
    let other = try makeModel(example.json(.wide, seed: 2))
    for entry in one.plan.entries {
      let range = entry.offset..<entry.offset + entry.count
      let isRandom = entry.isTrainable && entry.name.hasSuffix("weights")
      #expect((bits(one.weights[range]) != bits(other.weights[range])) == isRandom, "\(entry.name)")
    }
  }

  /// Every parameter has its part in the outputs, by way of the packed weights.
  @Test(arguments: examples.filter(\.isContinuous), kernelSets())
  func outputsFollowEveryParameter(_ example: Example, _ kernels: Kernels) throws {
    let model = try example.model(.wide, kernels)
    let x = sample(example, model)
    let weights = model.weights
    let before = bits(try model.predicted(x))
    for (parameter, changed) in model.changedWeights() {
      model.setWeights(changed)
      #expect(bits(try model.predicted(x)) != before, "\(parameter)")
    }
    model.setWeights(weights)
    #expect(bits(try model.predicted(x)) == before)
  }

  @Test(arguments: examples, kernelSets())
  func eightThreadsGiveTheBitsOfOne(_ example: Example, _ kernels: Kernels) throws {
    let model = try example.model(.wide, kernels)
    let x = sample(example, model)
    let expected = bits(try model.predicted(x))
    nonisolated(unsafe) let (sharedModel, sharedSample) = (model, x)
    let results = Results()
    let threads = (0..<8).map { _ in
      Thread {
        let y = (0..<4).map { _ in (try? sharedModel.predicted(sharedSample, batchSize: 5)).map { bits($0) } }
        results.add(y.allSatisfy { $0 == expected })
      }
    }
    for thread in threads { thread.start() }
    #expect(results.wait(for: 8) == [Bool](repeating: true, count: 8))
  }
}

/// What threads have found out.
private final class Results: @unchecked Sendable {
  private let condition = NSCondition()
  private var found: [Bool] = []

  func add(_ result: Bool) {
    condition.withLock { found.append(result) }
    condition.broadcast()
  }

  func wait(for count: Int) -> [Bool] {
    condition.withLock {
      while found.count < count { condition.wait() }
      return found
    }
  }
}
