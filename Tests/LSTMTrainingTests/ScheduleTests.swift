import Foundation
import LSTMTestSupport
import Testing

@testable import LSTMTraining

private func schedule(_ json: String) throws -> Schedule {
  try optimizer("{'type': 'sgd', 'learning_rate': \(json)}").schedule
}

/// The figures of keras.optimizers.schedules and PyTorch's OneCycleLR are in Tests/Golden; here is what they do not have.
@Suite struct ScheduleTests {
  @Test func warmupGoesToWhereTheNextBegins() throws {
    let schedule = try schedule(
      "{'type': 'warmup', 'initial_learning_rate': 0.1, 'warmup_steps': 4, 'learning_rate': {'type': 'warmup',"
        + "'initial_learning_rate': 0.5, 'warmup_steps': 2, 'learning_rate': 0.7}}")
    let expected = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.7, 0.7]
    for (step, rate) in expected.enumerated() { #expect(isClose(schedule.rate(after: UInt64(step)), rate, 1e-15)) }
  }

  /// The first step of each cycle has the whole rate, whatever the logarithm says.
  @Test(arguments: [1, 1.5, 2, 3, 10]) func restartsBeginWhereCyclesEnd(_ factor: Double) throws {
    let schedule = try schedule(
      "{'type': 'cosine_decay_restarts', 'initial_learning_rate': 1, 'first_decay_steps': 16, 't_mul': \(factor)}")
    var (begin, length) = (0.0, 16.0)
    for _ in 0..<5 {
      if begin == begin.rounded() { #expect(schedule.rate(after: UInt64(begin)) == 1, "step \(begin)") }
      begin += length
      let last = (begin - 1).rounded(.up)
      #expect(schedule.rate(after: UInt64(last)) < 0.05)
      length *= factor
    }
  }

  @Test func farSteps() throws {
    for json in [
      "{'type': 'cosine_decay', 'initial_learning_rate': 1, 'decay_steps': 10, 'alpha': 0.25}",
      "{'type': 'polynomial_decay', 'initial_learning_rate': 1, 'decay_steps': 10, 'end_learning_rate': 0.25}",
      "{'type': 'piecewise_constant_decay', 'boundaries': [1], 'values': [1, 0.25]}",
      "{'type': 'one_cycle', 'max_learning_rate': 1, 'total_steps': 10, 'div_factor': 2, 'final_div_factor': 2}",
    ] { #expect(try schedule(json).rate(after: 1 << 60) == 0.25) }
    #expect(try schedule("{'type': 'piecewise_constant_decay', 'boundaries': [], 'values': [3]}").rate(after: 7) == 3)
  }

  @Test(arguments: [
    "{\"type\": \"piecewise_constant_decay\", \"boundaries\": [2, 5], \"values\": [0.5, 0.2, 0.05]}",
    "{\"type\": \"polynomial_decay\", \"initial_learning_rate\": 0.5, \"end_learning_rate\": 0.0001, \"decay_steps\": 4, "
      + "\"power\": 1, \"cycle\": false}",
    "{\"type\": \"warmup\", \"initial_learning_rate\": 0, \"warmup_steps\": 3, \"learning_rate\": {\"type\": "
      + "\"cosine_decay\", \"initial_learning_rate\": 0.1, \"decay_steps\": 9, \"alpha\": 0}}",
  ])
  func isRecorded(_ json: String) throws {
    #expect(
      text(try optimizer("{'type': 'sgd', 'learning_rate': \(json)}").record).contains("\"learning_rate\": \(json)"))
  }

  @Test(arguments: [
    ("'fast'", ": expected a number of at least 0 or a schedule, got \"fast\""),
    ("{'type': 'step'}", ".type: expected piecewise_constant_decay, exponential_decay, "),
    (
      "{'type': 'cosine_decay', 'initial_learning_rate': 1}", ".decay_steps: expected a positive number, got nothing"
    ),
    (
      "{'type': 'cosine_decay', 'initial_learning_rate': 1, 'decay_steps': 0}",
      ".decay_steps: expected a positive number, got 0"
    ),
    (
      "{'type': 'exponential_decay', 'initial_learning_rate': -1, 'decay_steps': 1, 'decay_rate': 1}",
      ".initial_learning_rate: expected a number of at least 0, got -1"
    ),
    (
      "{'type': 'piecewise_constant_decay', 'boundaries': [1, 2], 'values': [1, 2]}",
      ".values: expected 3, one more than boundaries, got 2"
    ),
    (
      "{'type': 'piecewise_constant_decay', 'boundaries': [2, 2], 'values': [1, 2, 3]}",
      ".boundaries: expected numbers that rise, got a list"
    ),
    (
      "{'type': 'piecewise_constant_decay', 'boundaries': [], 'values': ['a']}",
      ".values: expected numbers of at least 0, got \"a\""
    ),
    (
      "{'type': 'cosine_decay_restarts', 'initial_learning_rate': 1, 'first_decay_steps': 1, 't_mul': 0.5}",
      ".t_mul: expected a number of at least 1, got 0.5"
    ),
    (
      "{'type': 'one_cycle', 'max_learning_rate': 1, 'total_steps': 10, 'pct_start': 0.1}",
      ".pct_start: expected a share that leaves steps to each phase, got 0.1 of 10 steps"
    ),
    (
      "{'type': 'one_cycle', 'max_learning_rate': 1, 'total_steps': 10, 'pct_start': 0.6, 'three_phase': true}",
      ".pct_start: expected a share that leaves steps to each phase, got 0.6 of 10 steps"
    ),
    (
      "{'type': 'warmup', 'warmup_steps': 1, 'learning_rate': {'type': 'cosine_decay', 'alpha': 2,"
        + "'initial_learning_rate': 1, 'decay_steps': 1}}", ".learning_rate.alpha: expected a number from 0 to 1, got 2"
    ),
    ("{'type': 'warmup', 'warmup_steps': 1, 'steps': 3, 'learning_rate': 1}", ": unknown field \"steps\", expected "),
  ]) func refuses(_ json: String, _ expected: String) {
    let error = argumentError { _ = try schedule(json) }
    #expect(error?.hasPrefix("optimizer.learning_rate" + expected) == true, "\(error ?? "none")")
  }
}
