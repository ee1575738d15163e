internal import CLSTMShim

/// Threads that do one job at a time together: the thread that brings the job and `workers - 1` of the team's own.
///
/// Two kinds of job. `share` deals out items that need nothing of one another, to whoever is free: nobody waits for a
/// worker that found no core to run on. `together` runs one body on all workers at once, which may wait for each other at
/// meeting places. The result must not depend on who does what: shards are a matter of the shapes, never of `workers`.
///
/// Workers compute in the float mode of the thread that brings the job. Neither kind allocates anything; a body must not
/// throw, and must not touch Swift objects in a way that allocates, as the reserve (see Memory) is another thread's.
/// A job within a job, or brought while another thread has brought one, or in a child of fork, runs on its own thread
/// alone.
public final class Team {
  public let workers: Int
  private let team: OpaquePointer

  private init(_ team: OpaquePointer, _ workers: Int) { (self.team, self.workers) = (team, workers) }

  /// `noMemory` when the system refuses the threads, or for more than 8192.
  @inline(never) public static func make(_ workers: Int) throws(LSTMError) -> Team {
    precondition(workers >= 1)
    guard let count = Int32(exactly: workers), let team = shim_team_new(count) else { throw .noMemory }
    return Team(team, workers)
  }

  /// Ends the threads, which takes some 20 microseconds.
  deinit { shim_team_free(team) }

  /// How many workers are worth having here: what affinity and cgroups leave to this process. For once an object.
  public static func processors() -> Int { Int(shim_processors()) }

  /// How long workers look out for the next job before they sleep, in microseconds; 0 at first. Waking them takes the
  /// system 5 to 50 microseconds, so a call of many jobs sets it while it runs.
  public var linger: Int = 0 {
    didSet { shim_team_linger(team, UInt32(clamping: linger)) }
  }

  /// `body(item)` once for each item of `0..<items`, claimed in that order. Ends when all are done.
  public func share(_ items: Int, _ body: (_ item: Int) -> Void) {
    if items <= 0 { return }
    LentBody.lend({ item, _ in body(item) }) { lent in
      withUnsafePointer(to: lent) {
        shim_team_share(team, items, { LentBody.of($0)($1, 0) }, UnsafeMutableRawPointer(mutating: $0))
      }
    }
  }

  /// `body(worker, workers)` on the first `limit` workers of the team at once, all of them without a limit. `workers`
  /// tells how many take part: it is 1 where the team is not to be had (see above), and never more than `limit`.
  public func together(limit: Int = .max, _ body: (_ worker: Int, _ workers: Int) -> Void) {
    LentBody.lend(body) { lent in
      withUnsafePointer(to: lent) {
        shim_team_together(
          team, Int32(clamping: limit), { LentBody.of($0)(Int($1), Int($2)) }, UnsafeMutableRawPointer(mutating: $0))
      }
    }
  }

  /// Within `together`: waits until `parties` workers have come to a place of `0...workers`, one for all and one for each
  /// of as many groups as there may be. What they wrote before, all of them see after.
  public func meet(_ parties: Int, at place: Int = 0) {
    precondition(place >= 0 && place <= workers)
    shim_team_meet(team, Int32(truncatingIfNeeded: place), Int32(truncatingIfNeeded: parties))
  }

  /// How many waits of `meet` took over a millisecond since the team was made. When it grows, cores are contested, and a
  /// smaller `limit` is faster.
  public var starved: Int { Int(truncatingIfNeeded: shim_team_starved(team)) }
}

/// A body that does not escape, as the two words it consists of: its code and its context.
///
/// C needs a pointer to it. Swift gives one only for closures that escape, whose contexts it allocates, even by
/// `withoutActuallyEscaping`. So functions that take words are seen as functions that take a body, and the other way round:
/// both pass the same two registers, and neither side counts references.
private struct LentBody {
  typealias Body = (Int, Int) -> Void
  private let code, context: UnsafeRawPointer?

  // In a struct a function keeps its own calling convention, where the cast of a bare one would wrap it.
  private struct TakingWords { let call: (LentBody, (LentBody) -> Void) -> Void }
  private struct TakingBody { let call: (Body, (LentBody) -> Void) -> Void }
  private struct CallingWords { let call: (LentBody, Int, Int) -> Void }
  private struct CallingBody { let call: (Body, Int, Int) -> Void }

  /// `use` must have done with the words when it returns.
  static func lend(_ body: Body, to use: (LentBody) -> Void) {
    unsafeBitCast(TakingWords { words, use in use(words) }, to: TakingBody.self).call(body, use)
  }

  static func of(_ pointer: UnsafeMutableRawPointer?) -> LentBody {
    pointer.unsafelyUnwrapped.assumingMemoryBound(to: LentBody.self).pointee
  }

  func callAsFunction(_ a: Int, _ b: Int) {
    unsafeBitCast(CallingBody { body, a, b in body(a, b) }, to: CallingWords.self).call(self, a, b)
  }
}
