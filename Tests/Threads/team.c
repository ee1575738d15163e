/* A team under stress, also under ThreadSanitizer: every kind of job, and every bad time at which one can come. */
#define _GNU_SOURCE
#include "shim.h"

#include <dirent.h>
#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition)                                                                                               \
  ((condition) ? (void)0 : (printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition), fflush(stdout), _exit(1)))

enum { ITEMS = 1000, MOST = 8, MEETS = 2000 };

static const int sizes[] = {1, 2, 3, MOST};

static shim_team *make(int workers) {
  shim_team *team = shim_team_new(workers);
  CHECK(team != NULL);
  return team;
}

static void rest(long microseconds) {
  const struct timespec time = {microseconds / 1000000, microseconds % 1000000 * 1000};
  nanosleep(&time, NULL);
}

static int count_threads(void) {
  int count = -2; /* . and .. */
  DIR *folder = opendir("/proc/self/task");
  CHECK(folder != NULL);
  while (readdir(folder) != NULL) count++;
  closedir(folder);
  return count;
}

/* How often each item came. Plain memory: ThreadSanitizer would see two workers on one item, and a reader too early. */
static void count_item(void *context, size_t item) { ((int *)context)[item]++; }

static void share_once(shim_team *team, size_t items) {
  int counts[ITEMS + 1] = {0};
  shim_team_share(team, items, count_item, counts);
  for (size_t i = 0; i <= ITEMS; i++) CHECK(counts[i] == (i < items));
}

/* In every part, all numbers below `workers` are there once. */
typedef struct {
  int expected, counts[MOST];
} parts;

static void count_part(void *context, int worker, int workers) {
  parts *p = context;
  CHECK(workers == p->expected && worker >= 0 && worker < workers);
  p->counts[worker]++;
}

static void together_once(shim_team *team, int asked, int expected) {
  parts p = {.expected = expected};
  shim_team_together(team, asked, count_part, &p);
  for (int i = 0; i < MOST; i++) CHECK(p.counts[i] == (i < expected));
}

static void test_jobs(int workers) {
  static const uint32_t lingers[] = {0, 1, 100, 2000};
  static const size_t items[] = {0, 1, 2, 3, 7, 64, ITEMS};
  shim_team *team = make(workers);
  for (int round = 0; round < 400; round++) {
    if (round % 100 == 0) shim_team_linger(team, lingers[round / 100]);
    share_once(team, items[round % 7]);
    together_once(team, INT32_MAX, workers);
    together_once(team, 1 + round % MOST, 1 + round % MOST < workers ? 1 + round % MOST : workers);
    share_once(team, 2);
    if (round % 20 == 0) rest(300);
  }
  together_once(team, 0, 1);
  shim_team_free(team);
}

/* Items are claimed from 0 up, and a worker number stays with its thread. */
static _Thread_local size_t last_of_thread;

static void follow_order(void *context, size_t item) {
  (void)context;
  CHECK(item == 0 || last_of_thread < item + 1);
  last_of_thread = item + 1;
}

static void forget_order(void *context, int worker, int workers) {
  pthread_t *threads = context;
  (void)workers;
  last_of_thread = 0;
  if (threads[worker] == 0) threads[worker] = pthread_self();
  CHECK(pthread_equal(threads[worker], pthread_self()));
}

static void test_order(void) {
  shim_team *team = make(3);
  pthread_t threads[3] = {0};
  for (int i = 0; i < 100; i++) {
    shim_team_together(team, 3, forget_order, threads);
    shim_team_share(team, 50, follow_order, NULL);
  }
  shim_team_free(team);
}

/* Between two meetings each sets its own number, and afterwards all read everyone's. Then pairs meet by themselves. */
typedef struct {
  shim_team *team;
  long numbers[MOST];
} meeters;

static void meet_all(void *context, int worker, int workers) {
  meeters *m = context;
  for (long i = 1; i <= MEETS; i++) {
    m->numbers[worker] = i;
    shim_team_meet(m->team, 0, workers);
    for (int other = 0; other < workers; other++) CHECK(m->numbers[other] == i);
    shim_team_meet(m->team, 0, workers);
  }
}

static void meet_in_pairs(void *context, int worker, int workers) {
  meeters *m = context;
  const int other = worker ^ 1, parties = other < workers ? 2 : 1;
  for (long i = 1; i <= MEETS; i++) {
    m->numbers[worker] = i;
    shim_team_meet(m->team, 1 + worker / 2, parties);
    if (parties == 2) CHECK(m->numbers[other] == i);
    shim_team_meet(m->team, 1 + worker / 2, parties);
  }
  shim_team_meet(m->team, 0, workers);
  for (int i = 0; i < workers; i++) CHECK(m->numbers[i] == MEETS);
}

static void test_meetings(int workers) {
  meeters m = {.team = make(workers)};
  for (int limit = workers; limit >= 1; limit = limit / 2) {
    shim_team_together(m.team, limit, meet_all, &m);
    shim_team_together(m.team, limit, meet_in_pairs, &m);
  }
  shim_team_free(m.team);
}

/* Whoever comes while the team has a job works alone. */
static void nest_item(void *context, size_t item) {
  (void)item;
  share_once(context, 10);
  together_once(context, 3, 1);
}

static void nest_part(void *context, int worker, int workers) {
  (void)worker, (void)workers;
  nest_item(context, 0);
}

static void test_nested(void) {
  shim_team *team = make(3);
  shim_team_share(team, 20, nest_item, team);
  shim_team_together(team, 3, nest_part, team);
  together_once(team, 3, 3);
  shim_team_free(team);
}

static void any_part(void *context, int worker, int workers) {
  meeters m = {.team = context};
  (void)worker;
  shim_team_meet(m.team, 0, workers);
}

static void *host_thread(void *team) {
  for (int i = 0; i < 300; i++) {
    share_once(team, 100);
    shim_team_together(team, MOST, any_part, team);
  }
  return NULL;
}

static void test_two_hosts(void) {
  shim_team *team = make(3);
  pthread_t thread;
  shim_team_linger(team, 50);
  CHECK(pthread_create(&thread, NULL, host_thread, team) == 0);
  host_thread(team);
  CHECK(pthread_join(thread, NULL) == 0);
  shim_team_free(team);
}

/* A child of fork has the team but not its threads, wherever they were. */
static void work_in_a_child(shim_team *team, int frees) {
  int status;
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(20);
    share_once(team, 100);
    together_once(team, 3, 1);
    if (frees) shim_team_free(team);
    _exit(7);
  }
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void test_fork(uint32_t linger) {
  shim_team *team = make(3);
  shim_team_linger(team, linger);
  share_once(team, 100);
  rest(200);
  work_in_a_child(team, 1);
  together_once(team, 3, 3);
  shim_team_free(team);
}

static void fork_item(void *context, size_t item) {
  if (item == 0) work_in_a_child(context, 0);
}

static void test_fork_inside(void) {
  shim_team *team = make(3);
  shim_team_share(team, 50, fork_item, team);
  shim_team_free(team);
}

static void test_nothing_stays(void) {
  const int before = count_threads();
  for (int i = 0; i < 1000; i++) {
    shim_team *team = make(3);
    if (i % 3 == 1) share_once(team, 5);
    if (i % 3 == 2) together_once(team, 3, 3);
    shim_team_free(team);
  }
  /* The kernel takes a thread out of the list shortly after it was joined. */
  for (int i = 0; i < 1000 && count_threads() > before; i++) rest(1000);
  CHECK(count_threads() <= before);
}

/* Workers compute in the mode of who brings the job, and their own does not stay behind. */
static void see_mode(void *context, int worker, int workers) {
  volatile float tiny = 1e-38f, third = 1.0f, quotient;
  float *seen = context;
  (void)workers;
  quotient = third / 3.0f;
  seen[2 * worker] = tiny * 0.125f;
  seen[2 * worker + 1] = quotient;
}

static void test_float_mode(void) {
  shim_team *team = make(2);
  float seen[4], plain;
  shim_team_together(team, 2, see_mode, seen);
  CHECK(seen[0] != 0 && seen[0] == seen[2] && seen[1] == seen[3]);
  plain = seen[1];
  const uint32_t mode = shim_flush_denormals();
  shim_team_together(team, 2, see_mode, seen);
  CHECK(seen[0] == 0 && seen[2] == 0 && seen[1] == plain && seen[3] == plain);
  shim_restore_float_mode(mode);
  CHECK(fesetround(FE_DOWNWARD) == 0);
  shim_team_together(team, 2, see_mode, seen);
  CHECK(fesetround(FE_TONEAREST) == 0);
  CHECK(seen[0] != 0 && seen[0] == seen[2] && seen[1] < plain && seen[1] == seen[3]);
  /* A host may have its divisions by zero trap; the workers', whose signals are blocked, would end it. */
  feenableexcept(FE_DIVBYZERO | FE_INVALID);
  const int traps = fegetexcept();
  const uint32_t trapping = shim_flush_denormals();
  volatile float zero = 0, infinite = 1 / zero;
  CHECK(infinite > 1e38f);
  shim_restore_float_mode(trapping);
  CHECK(fegetexcept() == traps);
  fedisableexcept(FE_ALL_EXCEPT);
  shim_team_free(team);
}

static void divide_by_zero(void *context, int worker, int workers) {
  volatile float zero = 0;
  (void)workers;
  if (worker > 0) ((float *)context)[0] = 1 / zero;
}

static void test_traps_stay_with_the_host(void) {
  shim_team *team = make(2);
  float infinite = 0;
  feenableexcept(FE_DIVBYZERO);
  shim_team_together(team, 2, divide_by_zero, &infinite);
  fedisableexcept(FE_ALL_EXCEPT);
  CHECK(infinite > 1e38f);
  shim_team_free(team);
}

/* The host's handlers never run on a worker: with the signal blocked on the only other thread it stays pending. */
static volatile sig_atomic_t handled;

static void handle(int number) { handled = number; }

static void test_signals(void) {
  struct sigaction action = {.sa_handler = handle};
  sigset_t one, pending;
  shim_team *team = make(3);
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
  sigemptyset(&one), sigaddset(&one, SIGUSR1);
  shim_team_linger(team, 100000);
  share_once(team, 10);
  pthread_sigmask(SIG_BLOCK, &one, NULL);
  kill(getpid(), SIGUSR1);
  rest(20000);
  sigpending(&pending);
  CHECK(handled == 0 && sigismember(&pending, SIGUSR1) == 1);
  pthread_sigmask(SIG_UNBLOCK, &one, NULL);
  CHECK(handled == SIGUSR1);
  shim_team_free(team);
}

static double processor_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Idle workers look out as long as they are told, and no longer. */
static void test_idle_workers_sleep(void) {
  shim_team *team = make(2);
  double start;
  for (uint32_t linger = 0; linger <= 1000; linger += 1000) {
    shim_team_linger(team, linger);
    together_once(team, 2, 2);
    rest(20000);
    start = processor_seconds();
    rest(100000);
    CHECK(processor_seconds() - start < 0.02);
  }
  shim_team_linger(team, 3000000);
  together_once(team, 2, 2);
  start = processor_seconds();
  rest(1000000);
  CHECK((processor_seconds() - start > 0.02) == (shim_affinity() > 1)); /* on one core it would keep others from it */
  shim_team_free(team);
}

static int places[2];

static void note_place(void *context, int worker, int workers) {
  places[worker] = sched_getcpu();
  shim_team_meet(context, 0, workers);
}

/* A worker that finds itself on the caller's processor leaves it. */
static void *bring_jobs_from_one_processor(void *argument) {
  shim_team *team = make(2);
  cpu_set_t all, one;
  (void)argument;
  CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
  for (int processor = 0; processor < CPU_SETSIZE; processor++) {
    if (!CPU_ISSET(processor, &all)) continue;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    for (int i = 0; i < 20; i++) {
      shim_team_together(team, 2, note_place, team);
      CHECK(places[0] == processor);
    }
    CHECK(places[1] != processor || CPU_COUNT(&all) == 1);
  }
  shim_team_free(team);
  return NULL;
}

static void test_workers_keep_off_the_callers_processor(void) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, bring_jobs_from_one_processor, NULL) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
}

/* One party keeps the other waiting for 20 ms. */
static void come_late(void *context, int worker, int workers) {
  if (worker == 0) rest(20000);
  shim_team_meet(context, 0, workers);
}

static void test_starvation_is_counted(void) {
  shim_team *team = make(2);
  CHECK(shim_team_starved(team) == 0);
  shim_team_together(team, 2, come_late, team);
  CHECK(shim_team_starved(team) > 10000000 && shim_team_starved(team) < 10000000000);
  shim_team_free(team);
}

/* With no room for another stack the threads that were started are ended again. */
static void test_refusal(void) {
  const int before = count_threads();
  struct rlimit all, few;
  char line[256];
  FILE *file = fopen("/proc/self/statm", "r");
  CHECK(file != NULL && fgets(line, sizeof line, file) != NULL);
  fclose(file);
  const long pages = strtol(line, NULL, 10);
  CHECK(getrlimit(RLIMIT_AS, &all) == 0);
  few = all;
  few.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (4 << 20);
  CHECK(setrlimit(RLIMIT_AS, &few) == 0);
  CHECK(shim_team_new(200) == NULL);
  CHECK(setrlimit(RLIMIT_AS, &all) == 0);
  for (int i = 0; i < 1000 && count_threads() > before; i++) rest(1000);
  CHECK(count_threads() <= before);
}

int main(int count, char **arguments) {
  (void)arguments;
  if (count == 1) test_refusal(); /* not with ThreadSanitizer, which needs all room itself */
  for (int i = 0; i < 4; i++) test_jobs(sizes[i]), test_meetings(sizes[i]);
  test_order();
  test_nested();
  test_two_hosts();
  test_fork(0), test_fork(1000000);
  test_fork_inside();
  test_nothing_stays();
  test_float_mode();
  test_traps_stay_with_the_host();
  test_signals();
  test_idle_workers_sleep();
  test_starvation_is_counted();
  test_workers_keep_off_the_callers_processor();
  return 0;
}
