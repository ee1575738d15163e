/* What this machine can do at most, as one line of JSON: GFLOP/s of fused multiply-adds, and GB/s read from each level
 * of memory, by one thread and by all. `machine quick` leaves out memory.
 *
 *     gcc -O3 -march=native -pthread machine.c -o machine
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#ifdef __AVX512F__
#define WIDTH 64
#else
#define WIDTH 32
#endif
typedef float vec __attribute__((vector_size(WIDTH)));

#define MAX_THREADS 256
/* Latency 4 and two a cycle ask for 8; more hide the rest and still fit 16 registers. */
#define ACCUMULATORS 12
#define SECONDS 0.25
#define REPETITIONS 3

typedef struct task {
  pthread_t thread;
  int processor;
  size_t bytes; /* 0: arithmetic */
  pthread_barrier_t *barrier;
  double done; /* operations or bytes a second */
} task;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static double multiply_add(void) {
  vec sum[ACCUMULATORS], factor, term;
  for (int i = 0; i < ACCUMULATORS; i++) sum[i] = (vec){0} + (float)i;
  factor = (vec){0} + 0.999f, term = (vec){0} + 0.001f;
  /* Unknown to the compiler, or it would compute ahead. */
  __asm__ volatile("" : "+x"(factor), "+x"(term));
  double count = 0, begin = now(), end = begin;
  while (end - begin < SECONDS) {
    for (int k = 0; k < 100000; k++)
      for (int i = 0; i < ACCUMULATORS; i++) sum[i] = sum[i] * factor + term;
    count += 100000.0 * ACCUMULATORS * 2 * (WIDTH / 4), end = now();
  }
  for (int i = 0; i < ACCUMULATORS; i++) __asm__ volatile("" : : "x"(sum[i]));
  return count / (end - begin);
}

static double read_memory(size_t bytes) {
  size_t count = bytes / WIDTH;
  vec *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 0;
  madvise(memory, bytes, MADV_HUGEPAGE);
  memset(memory, 1, bytes);
  vec sum[8];
  memset(sum, 0, sizeof sum);
  double done = 0, begin = now(), end = begin;
  while (end - begin < SECONDS) {
    for (size_t pass = 0; pass < 1 + ((size_t)4 << 20) / bytes; pass++, done += (double)bytes)
      for (size_t k = 0; k + 8 <= count; k += 8)
        for (int i = 0; i < 8; i++) sum[i] += memory[k + i];
    end = now();
  }
  for (int i = 0; i < 8; i++) __asm__ volatile("" : : "x"(sum[i]));
  munmap(memory, bytes);
  return done / (end - begin);
}

static void *work(void *argument) {
  task *one = argument;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(one->processor, &set);
  sched_setaffinity(0, sizeof set, &set);
  pthread_barrier_wait(one->barrier);
  one->done = one->bytes ? read_memory(one->bytes) : multiply_add();
  return NULL;
}

/* The best of some runs, all threads together, each on a processor of its own. */
static double rate(int threads, size_t bytes) {
  static task tasks[MAX_THREADS];
  double best = 0;
  cpu_set_t allowed;
  sched_getaffinity(0, sizeof allowed, &allowed);
  for (int run = 0; run < REPETITIONS; run++) {
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, (unsigned)threads);
    for (int i = 0, processor = 0; i < threads; i++, processor++) {
      while (!CPU_ISSET(processor, &allowed)) processor++;
      tasks[i] = (task){.processor = processor, .bytes = bytes, .barrier = &barrier};
      if (pthread_create(&tasks[i].thread, NULL, work, &tasks[i])) exit(1);
    }
    double sum = 0;
    for (int i = 0; i < threads; i++) pthread_join(tasks[i].thread, NULL), sum += tasks[i].done;
    pthread_barrier_destroy(&barrier);
    best = sum > best ? sum : best;
  }
  return best / 1e9;
}

int main(int count, char **arguments) {
  cpu_set_t allowed;
  sched_getaffinity(0, sizeof allowed, &allowed);
  int threads = CPU_COUNT(&allowed) < MAX_THREADS ? CPU_COUNT(&allowed) : MAX_THREADS;
  printf("{\"threads\": %d, \"fma\": [%.1f, %.1f]", threads, rate(1, 0), rate(threads, 0));
  if (count < 2 || strcmp(arguments[1], "quick")) {
    static const struct {
      const char *name;
      size_t bytes;
    } levels[] = {{"L1", 24 << 10}, {"L2", 512 << 10}, {"L3", 8 << 20}, {"DRAM", 512 << 20}};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
      printf(", \"%s\": [%.1f, %.1f]", levels[i].name, rate(1, levels[i].bytes), rate(threads, levels[i].bytes));
  }
  puts("}");
  return 0;
}
