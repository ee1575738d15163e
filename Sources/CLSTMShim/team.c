// The whole protocol of a team is one word, `job`: its upper half names the job and says its kind, its lower half
// counts the items that nobody has claimed yet. Claiming is one compare-and-swap of that word, so a worker that comes
// late, with whatever it last saw, either claims an item of the job that is running or touches nothing. The other
// fields of a job are plain memory: they are read only by who holds an item or a part, and written only when none is
// held.
//
// Whoever waits pauses for a while, and then sleeps on the word that it waits for. Who changes the word wakes it, if
// there is a sleeper: the one counts itself and then looks at the word (the system does so), the other changes the
// word and then looks at the count, so one of them sees the other. Giving up the core without sleeping would be worse
// where cores are contested: the system favours who has slept.
#define _GNU_SOURCE
#include "shim.h"

#include <limits.h>
#include <link.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 64 };         // of memory, which cores pass to and fro whole
enum { STACK = 256 << 10 }; // of a worker
enum { MOST = 8192 };       // workers
enum { PAUSES = 64 };       // between two looks at the clock
// Nanoseconds of pausing before sleep while others are at work: what a wake-up costs. Where cores are contested, or
// two of the team have come to be on one, less would be better; where nobody else is, more.
static const uint64_t PATIENCE = 20000;
static const uint64_t STARVED = 1000000;

enum { TOGETHER = 1 }; // the lowest bit of a job's name

typedef struct {
  _Alignas(LINE) _Atomic uint32_t met; // how often
  _Atomic uint32_t come, sleepers;     // workers that have come since
} meeting;

typedef struct {
  shim_team *team;
  pthread_t thread;
  int number;
  cpu_set_t allowed; // what it began with; empty where the system does not tell
} member;

struct shim_team {
  int workers, started; // with the caller
  const int *at_home;   // not zero, but in a child of fork; NULL where the system has no such memory
  pid_t process;
  uint64_t patience;
  member *members; // [0] is the caller, and not used
  _Atomic uint32_t busy;
  _Atomic uint64_t linger; // nanoseconds
  // The job, or the last one, in one line: workers get it whole.
  _Alignas(LINE) _Atomic uint64_t job; // name << 32 | items not claimed; the number of parts if its name is a TOGETHER
  union {
    void (*item)(void *context, size_t item);
    void (*part)(void *context, int worker, int workers); // NULL in the job that ends the workers
  } work;
  void *context;
  size_t first;                             // the number of the item that is claimed first
  uint32_t items;                           // or parts
  uint32_t float_mode;                      // of who brought the job
  _Atomic int processor;                    // where that thread was last seen; negative: nobody knows
  _Atomic uint32_t finished;                // items or parts that workers, not the caller, have finished
  _Atomic uint32_t awaited;                 // the caller sleeps until so many are finished; 0: it does not
  _Alignas(LINE) _Atomic uint32_t sleepers; // workers without a job
  _Atomic uint64_t starved;
  meeting meetings[]; // workers + 1
};

// Waiting.

static uint64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// A wait that begins with `limit` nanoseconds of pausing.
typedef struct {
  uint64_t limit, start; // the start is 0 until the clock was looked at
  uint32_t pauses;
} pausing;

// Pauses. True: that was enough, it is time to sleep.
static int wait_more(pausing *p) {
  if (++p->pauses % PAUSES == 0) {
    const uint64_t now = nanoseconds();
    if (p->start == 0) p->start = now;
    return now - p->start >= p->limit;
  }
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
  return 0;
}

// Sleeps until woken, unless the word has changed already; may wake too early.
static void sleep_on(const void *word, uint32_t seen) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void wake(const void *word, int count) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0); }

// Workers.

static uint32_t name_of(uint64_t job) { return (uint32_t)(job >> 32); }
static uint32_t count_of(uint64_t job) { return (uint32_t)job; }

// Works on items of the job of this name until none is left: how many it did.
static uint32_t take_items(shim_team *team, uint32_t name, int is_worker) {
  uint32_t done = 0;
  uint64_t job = atomic_load_explicit(&team->job, memory_order_acquire);
  while (name_of(job) == name && count_of(job) > 0) {
    if (!atomic_compare_exchange_weak_explicit(&team->job, &job, job - 1, memory_order_acquire, memory_order_acquire))
      continue;
    if (is_worker && done == 0) shim_adopt_float_mode(team->float_mode);
    team->work.item(team->context, team->first + (team->items - count_of(job)));
    done++;
    job = atomic_load_explicit(&team->job, memory_order_acquire);
  }
  return done;
}

// The half of the job's word that names it.
static const void *job_name(const shim_team *team) { return (const char *)&team->job + 4; }
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the upper half of a word is its second");

static uint64_t next_job(shim_team *team, uint32_t name) {
  uint64_t job;
  pausing p = {.limit = atomic_load_explicit(&team->linger, memory_order_relaxed)};
  int enough = p.limit == 0;
  while (name_of(job = atomic_load_explicit(&team->job, memory_order_acquire)) == name) {
    if (enough || wait_more(&p)) {
      enough = 1;
      atomic_fetch_add(&team->sleepers, 1);
      sleep_on(job_name(team), name);
      atomic_fetch_sub(&team->sleepers, 1);
    }
  }
  return job;
}

// Places.

// Keeps a worker off the processor of the thread that brings the jobs. Two that wait for each other by sleeping look to
// the system as if one processor were enough for both, and may stay on it while the next is idle.
static void keep_apart(const shim_team *team, const member *self) {
  cpu_set_t others = self->allowed;
  const int taken = atomic_load_explicit(&team->processor, memory_order_relaxed);
  if (taken < 0 || taken >= CPU_SETSIZE || sched_getcpu() != taken) return;
  CPU_CLR(taken, &others);
  if (CPU_COUNT(&others) > 0) sched_setaffinity(0, sizeof others, &others);
}

// After a long wait: looks whether the two have come together.
static void look_around(shim_team *team) {
  for (int i = 1; i < team->started; i++) {
    if (pthread_equal(pthread_self(), team->members[i].thread)) {
      keep_apart(team, &team->members[i]);
      return;
    }
  }
  atomic_store_explicit(&team->processor, sched_getcpu(), memory_order_relaxed);
}

static void *serve(void *argument) {
  member *self = argument;
  shim_team *team = self->team;
  uint32_t name = 0;
  if (sched_getaffinity(0, sizeof self->allowed, &self->allowed) != 0) CPU_ZERO(&self->allowed);
  for (;;) {
    const uint64_t job = next_job(team, name);
    uint32_t done;
    name = name_of(job);
    keep_apart(team, self);
    if (name & TOGETHER) {
      if ((uint32_t)self->number >= count_of(job)) continue;
      if (team->work.part == NULL) return NULL;
      shim_adopt_float_mode(team->float_mode);
      team->work.part(team->context, self->number, (int)team->items);
      done = 1;
    } else {
      done = take_items(team, name, 1);
    }
    if (done > 0 && atomic_fetch_add(&team->finished, done) + done == atomic_load(&team->awaited))
      wake(&team->finished, 1);
  }
}

// Forks.

// Memory that a child of fork finds zeroed, or NULL: it saves asking for the process, a system call, before each job.
static const int *make_home(void) {
  int *home = mmap(NULL, sizeof *home, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (home == MAP_FAILED) return NULL;
  // Some emulators say yes to any advice, and do nothing.
  if (madvise(home, sizeof *home, -1) == 0 || madvise(home, sizeof *home, MADV_WIPEONFORK) != 0) {
    munmap(home, sizeof *home);
    return NULL;
  }
  *home = 1;
  return home;
}

// Whether the team's threads are in this process.
static int is_home(const shim_team *team) { return team->at_home != NULL ? *team->at_home : getpid() == team->process; }

// Jobs.

// Whether the team can be had. In a child of fork it is busy for good.
static int begin(shim_team *team) {
  if (team->workers == 1 || atomic_exchange_explicit(&team->busy, 1, memory_order_acquire)) return 0;
  return is_home(team);
}

static void end(shim_team *team) { atomic_store_explicit(&team->busy, 0, memory_order_release); }

// Lets workers see the job whose fields are written, and wakes some if any sleep: the job's name.
static uint32_t publish(shim_team *team, uint32_t kind, uint32_t count, int wanted) {
  const uint32_t last = name_of(atomic_load_explicit(&team->job, memory_order_relaxed));
  const uint32_t name = ((last | TOGETHER) + 1) | kind;
  team->float_mode = shim_float_mode();
  atomic_store_explicit(&team->processor, sched_getcpu(), memory_order_relaxed);
  atomic_store_explicit(&team->finished, 0, memory_order_relaxed);
  atomic_exchange(&team->job, (uint64_t)name << 32 | count);
  if (atomic_load(&team->sleepers) > 0) wake(job_name(team), wanted);
  return name;
}

static void wait_for_workers(shim_team *team, uint32_t count) {
  uint32_t finished;
  pausing p = {.limit = team->patience};
  while ((finished = atomic_load_explicit(&team->finished, memory_order_acquire)) != count) {
    if (!wait_more(&p)) continue;
    atomic_store(&team->awaited, count);
    sleep_on(&team->finished, finished);
    atomic_store(&team->awaited, 0);
  }
}

void shim_team_share(shim_team *team, size_t items, void (*work)(void *context, size_t item), void *context) {
  size_t first = 0;
  if (items > 1 && begin(team)) {
    for (; first < items; first += team->items) {
      team->work.item = work, team->context = context, team->first = first;
      team->items = items - first > UINT32_MAX ? UINT32_MAX : (uint32_t)(items - first);
      const int others = team->items - 1 < (uint32_t)team->workers ? (int)team->items - 1 : team->workers - 1;
      const uint32_t name = publish(team, 0, team->items, others);
      wait_for_workers(team, team->items - take_items(team, name, 0));
    }
    end(team);
  }
  for (; first < items; first++) work(context, first);
}

void shim_team_together(shim_team *team, int workers, void (*work)(void *context, int worker, int workers),
                        void *context) {
  if (workers > team->workers) workers = team->workers;
  if (workers <= 1 || !begin(team)) {
    work(context, 0, 1);
    return;
  }
  team->work.part = work, team->context = context, team->items = (uint32_t)workers;
  publish(team, TOGETHER, (uint32_t)workers, INT_MAX);
  work(context, 0, workers);
  wait_for_workers(team, (uint32_t)workers - 1);
  end(team);
}

void shim_team_meet(shim_team *team, int place, int parties) {
  meeting *m = &team->meetings[place];
  if (parties <= 1) return;
  const uint32_t met = atomic_load_explicit(&m->met, memory_order_relaxed); // changes only after this worker has come
  if (atomic_fetch_add_explicit(&m->come, 1, memory_order_acq_rel) + 1 == (uint32_t)parties) {
    atomic_store_explicit(&m->come, 0, memory_order_relaxed);
    atomic_exchange(&m->met, met + 1);
    if (atomic_load(&m->sleepers) > 0) wake(&m->met, INT_MAX);
    return;
  }
  pausing p = {.limit = team->patience};
  while (atomic_load_explicit(&m->met, memory_order_acquire) == met) {
    if (!wait_more(&p)) continue;
    atomic_fetch_add(&m->sleepers, 1);
    sleep_on(&m->met, met);
    atomic_fetch_sub(&m->sleepers, 1);
  }
  const uint64_t waited = p.start == 0 ? 0 : nanoseconds() - p.start;
  if (waited > team->patience) look_around(team);
  if (waited > STARVED) atomic_fetch_add_explicit(&team->starved, waited, memory_order_relaxed);
}

uint64_t shim_team_starved(const shim_team *team) { return atomic_load_explicit(&team->starved, memory_order_relaxed); }

void shim_team_linger(shim_team *team, uint32_t microseconds) {
  const uint64_t nanoseconds = team->patience == 0 ? 0 : (uint64_t)1000 * microseconds;
  atomic_store_explicit(&team->linger, nanoseconds, memory_order_relaxed);
}

// Making and ending.

// Thread-local storage of the program and its libraries is taken out of each thread's stack.
static int add_thread_storage(struct dl_phdr_info *object, size_t size, void *total) {
  (void)size;
  for (int i = 0; i < object->dlpi_phnum; i++)
    if (object->dlpi_phdr[i].p_type == PT_TLS) *(size_t *)total += object->dlpi_phdr[i].p_memsz;
  return 0;
}

// 0, or -1 when a thread is refused.
static int start_workers(shim_team *team) {
  pthread_attr_t attributes;
  sigset_t all, callers;
  size_t stack = STACK;
  dl_iterate_phdr(add_thread_storage, &stack);
  if (pthread_attr_init(&attributes) != 0) return -1;
  // Refused only if smaller than what the system asks for; then its own choice remains.
  pthread_attr_setstacksize(&attributes, (stack + 4095) / 4096 * 4096);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &callers); // which new threads inherit
  for (; team->started < team->workers; team->started++) {
    member *m = &team->members[team->started];
    *m = (member){.team = team, .number = team->started};
    if (pthread_create(&m->thread, &attributes, serve, m) != 0) break;
    pthread_setname_np(m->thread, "lstm");
  }
  pthread_sigmask(SIG_SETMASK, &callers, NULL);
  pthread_attr_destroy(&attributes);
  return team->started == team->workers ? 0 : -1;
}

int shim_affinity(void) {
  cpu_set_t sets[8]; // a system with more than 8192 processors refuses them
  const int known = sched_getaffinity(0, sizeof sets, sets) == 0;
  return known ? CPU_COUNT_S(sizeof sets, sets) : 1;
}

shim_team *shim_team_new(int workers) {
  const size_t fixed = sizeof(shim_team) + ((size_t)workers + 1) * sizeof(meeting);
  const size_t size = fixed + (size_t)workers * sizeof(member);
  shim_team *team = workers < 1 || workers > MOST ? NULL : shim_allocate(size);
  if (team == NULL) return NULL;
  memset(team, 0, size);
  team->workers = workers, team->started = 1;
  if (workers > 1) team->at_home = make_home();
  team->process = getpid();
  // More workers than cores take turns: one that pauses would keep another from its work.
  team->patience = workers > shim_affinity() ? 0 : PATIENCE;
  team->members = (member *)((char *)team + fixed);
  if (workers > 1 && start_workers(team) != 0) {
    shim_team_free(team);
    return NULL;
  }
  return team;
}

void shim_team_free(shim_team *team) {
  if (team->started > 1 && is_home(team)) {
    team->work.part = NULL;
    publish(team, TOGETHER, (uint32_t)team->started, INT_MAX);
    for (int i = 1; i < team->started; i++) pthread_join(team->members[i].thread, NULL);
  }
  if (team->at_home != NULL) munmap((void *)team->at_home, sizeof *team->at_home);
  shim_deallocate(team);
}
