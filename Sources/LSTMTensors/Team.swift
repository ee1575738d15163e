internal import CLSTMShim

/// Threads that do one job at a time together: the thread that brings the job and `workers - 1` of the team's own.
///
/// Two kinds of job. `share` deals out items that need nothing of one another, to whoever is free: nobody waits for a
/// worker that found no core to run on. `together` runs one piece of work on all workers at once, which may wait for each
/// other at meeting places. The result must not depend on who does what: parts are a matter of the shapes, never of
/// `workers`.
///
/// Workers compute in the float mode of the thread that brings the job. Neither kind allocates anything; the work must
/// not allocate, as the reserve (see Memory) is another thread's.
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

  /// How long workers look out for the next job before they sleep, in microseconds; 0 at first. Waking them takes the
  /// system 5 to 50 microseconds, so a call of many jobs sets it while it runs.
  public var linger: Int = 0 {
    didSet { shim_team_linger(team, UInt32(clamping: linger)) }
  }

  /// `work.run(item, of: items)` once for each of so many items, claimed in that order. Ends when all are done.
  public func share(_ items: Int, _ work: TeamWork) {
    if items <= 0 { return }
    work.items = items
    let context = Unmanaged.passUnretained(work).toOpaque()
    withExtendedLifetime(work) {
      shim_team_share(team, items, { TeamWork.of($0).run($1) }, context)
    }
  }

  /// `work.run(worker, of: workers)` on the first `limit` workers of the team at once, all of them without a limit.
  /// `workers` tells how many take part: it is 1 where the team is not to be had (see above), and never more than `limit`.
  public func together(limit: Int = .max, _ work: TeamWork) {
    let context = Unmanaged.passUnretained(work).toOpaque()
    withExtendedLifetime(work) {
      shim_team_together(
        team, Int32(clamping: limit), { TeamWork.of($0).run(Int($1), of: Int($2)) }, context)
    }
  }

  /// Within `together`: waits until `parties` workers have come to a place of `0...workers`, one for all and one for each
  /// of as many groups as there may be. What they wrote before, all of them see after.
  public func meet(_ parties: Int, at place: Int = 0) {
    precondition(place >= 0 && place <= workers)
    shim_team_meet(team, Int32(truncatingIfNeeded: place), Int32(truncatingIfNeeded: parties))
  }

  /// Seconds that the workers have spent, since the team was made, in waits of `meet` of over a millisecond each. When it
  /// grows, cores are contested.
  public var starved: Double { Double(shim_team_starved(team)) / 1e9 }
}

/// What a team does: an object, since a closure cannot be lent to C without an allocation.
open class TeamWork {
  fileprivate(set) final var items = 0

  public init() {}

  /// One item, or the share of one worker. Called on several threads at once.
  open func run(_ item: Int, of count: Int) {}

  fileprivate final func run(_ item: Int) { run(item, of: items) }

  fileprivate static func of(_ context: UnsafeMutableRawPointer?) -> TeamWork {
    Unmanaged<TeamWork>.fromOpaque(context.unsafelyUnwrapped).takeUnretainedValue()
  }
}
