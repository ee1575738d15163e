/* Steps streams of a saved model from C: writes the outputs of all timesteps from a zero state, then measures calls.
 *
 *     streams step|block|together|each MODEL X Y TIMESTEPS STREAMS THREADS SECONDS
 *
 *   step      one stream, one timestep a call
 *   block     one stream, all timesteps in one call
 *   together  every stream one timestep in one call
 *   each      every stream one timestep, one call each
 *
 * X and Y are files of floats [timesteps, streams, ...]. Prints, as JSON, seconds of one timestep (of all streams):
 * the median and the 99th percentile over short blocks of calls, the shortest block, and the number of calls.
 */
#include <lstm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Blocks are so long that reading the clock is no part of what is measured. */
#define BLOCK_SECONDS 1e-5
#define WARM_UP_SECONDS 0.05
#define MAX_BLOCKS 4000000

typedef struct work {
  const char *mode;
  lstm_stream **streams;
  float *x, *y;
  size_t timesteps, count, inputs, outputs;
  uint32_t threads;
} work;

static void check(int code) {
  if (code != LSTM_OK) fprintf(stderr, "%s\n", lstm_last_error()), exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Timestep t of every stream; in block mode all timesteps. */
static void step(const work *w, size_t t) {
  float *x = w->x + t * w->count * w->inputs, *y = w->y + t * w->count * w->outputs;
  switch (w->mode[0]) {
  case 's':
    check(lstm_stream_step(w->streams[0], x, w->inputs, y, w->outputs));
    break;
  case 'b':
    check(lstm_stream_process(w->streams[0], w->timesteps, w->x, w->timesteps * w->inputs, w->y,
                              w->timesteps * w->outputs));
    break;
  case 't':
    check(lstm_streams_step(w->streams, w->count, x, w->count * w->inputs, y, w->count * w->outputs, w->threads));
    break;
  default:
    for (size_t i = 0; i < w->count; i++)
      check(lstm_stream_step(w->streams[i], x + i * w->inputs, w->inputs, y + i * w->outputs, w->outputs));
  }
}

static double block(const work *w, size_t calls, size_t *t) {
  double begin = now();
  for (size_t i = 0; i < calls; i++) step(w, *t), *t = *t + 1 == w->timesteps ? 0 : *t + 1;
  return now() - begin;
}

static int ascending(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

static void measure(const work *w, double seconds) {
  size_t calls = 1, t = 0, blocks = 0;
  while (block(w, calls, &t) < BLOCK_SECONDS) calls *= 2;
  for (double end = now() + WARM_UP_SECONDS; now() < end;) block(w, calls, &t);
  double *times = malloc(MAX_BLOCKS * sizeof *times);
  if (!times) exit(1);
  size_t steps = calls * (w->mode[0] == 'b' ? w->timesteps : 1);
  for (double end = now() + seconds; (now() < end || blocks < 3) && blocks < MAX_BLOCKS;)
    times[blocks++] = block(w, calls, &t) / (double)steps;
  qsort(times, blocks, sizeof *times, ascending);
  printf("{\"median\": %.4g, \"p99\": %.4g, \"min\": %.4g, \"calls\": %zu}\n", times[blocks / 2],
         times[blocks - 1 - blocks / 100], times[0], blocks * calls);
  free(times);
}

int main(int argument_count, char **arguments) {
  if (argument_count != 9) return fprintf(stderr, "usage: see streams.c\n"), 2;
  work w = {.mode = arguments[1],
            .timesteps = strtoul(arguments[5], NULL, 10),
            .count = strtoul(arguments[6], NULL, 10),
            .threads = (uint32_t)strtoul(arguments[7], NULL, 10)};
  double seconds = strtod(arguments[8], NULL);
  lstm_model *model;
  check(lstm_load(arguments[2], NULL, &model));
  w.streams = calloc(w.count, sizeof *w.streams);
  for (size_t i = 0; i < w.count; i++) check(lstm_stream_create(model, &w.streams[i]));
  if (w.mode[0] == 's' && w.threads != 1) check(lstm_stream_set_threads(w.streams[0], w.threads));
  check(lstm_stream_sizes(w.streams[0], &w.inputs, &w.outputs));

  size_t given = w.timesteps * w.count * w.inputs, taken = w.timesteps * w.count * w.outputs;
  w.x = malloc(given * sizeof(float)), w.y = malloc(taken * sizeof(float));
  FILE *file = fopen(arguments[3], "rb");
  if (!w.x || !w.y || !file || fread(w.x, sizeof(float), given, file) != given) return perror(arguments[3]), 1;
  fclose(file);
  for (size_t t = 0; t < (w.mode[0] == 'b' ? 1 : w.timesteps); t++) step(&w, t);
  file = fopen(arguments[4], "wb");
  if (!file || fwrite(w.y, sizeof(float), taken, file) != taken || fclose(file)) return perror(arguments[4]), 1;

  if (seconds > 0)
    measure(&w, seconds);
  else
    puts("{}");
  for (size_t i = 0; i < w.count; i++) lstm_stream_free(w.streams[i]);
  lstm_free(model);
  free(w.streams), free(w.x), free(w.y);
  return 0;
}
