internal import CLSTMShim
public import LSTMTensors

/// The threads of one call, or of an object that keeps them: started when there is first work that is worth it.
public final class Workers {
  /// As many as help.
  public static let automatic = 0

  /// What the caller asked for.
  private let threads: Int
  /// Whether they live on between calls; they then sleep soon after one.
  private let areKept: Bool
  public private(set) var team: Team?
  /// Workers that the job at hand is worth, the caller among them.
  private var useful = 1
  /// Jobs that are still to be done alone, since the workers of one together had to wait for a core.
  private var restingJobs = 0
  /// How many there were the last time: twice as many follow, if the workers still had to wait.
  private var lastRest = 0

  public init(threads: Int, areKept: Bool) { (self.threads, self.areKept) = (threads, areKept) }

  /// How long workers look out for the next job, in microseconds. One that has done so for long loses the favour of the
  /// system's scheduler, and begins late when others want its core.
  private static let linger = 100

  /// Says that the next job is a pass over so many rows and steps, and starts the threads if it is worth them and there are
  /// none yet. A system that refuses them does no harm.
  public func start(_ model: Model, rows: Int, steps: Int) {
    if threads > 0 {
      useful = threads
    } else {
      // One for each piece of work that takes a few times as long as starting or waking a thread: two operations for four
      // bytes, and some 200 of them in a nanosecond.
      let microseconds = Double(model.packedByteCount) * Double(rows) * Double(steps) / 2 / 200 / 1000
      useful = max(1, Int(min(microseconds / (areKept ? 20 : 100), Double(Int32.max))))
    }
    if team != nil || useful == 1 { return }
    let processors = threads > 0 ? threads : Team.processors()
    // Workers that are kept may get larger jobs than the first.
    let workers = areKept ? processors : min(useful, processors)
    guard workers > 1, let team = try? Team.make(workers) else { return }
    team.linger = Workers.linger
    self.team = team
  }

  /// Items that need nothing of one another.
  public func share(_ items: Int, _ work: TeamWork) {
    if useful > 1, let team { return team.share(items, work) }
    for item in 0..<items { work.run(item, of: items) }
  }

  /// One piece of work, done by all at once.
  public func together(_ work: TeamWork) {
    guard useful > 1, let team else { return work.run(0, of: 1) }
    if restingJobs > 0 {
      restingJobs -= 1
      return work.run(0, of: 1)
    }
    let (starved, begin) = (team.starved, shim_seconds())
    team.together(limit: useful, work)
    // When all but one wait half of the time, other processes have the cores, and one worker that waits for nobody is as
    // fast; beyond that it is faster. A single wait is nothing yet.
    let half = (shim_seconds() - begin) / 2 * Double(team.workers - 1)
    lastRest = team.starved - starved > 0.005 + half ? min(2 * lastRest + 1, 15) : 0
    restingJobs = lastRest
  }
}
