/* Trains in a fresh process and prints, in bytes, the memory that it had before and the most that it had.
 * Usage: peak_memory LIBRARY DESCRIPTION TOKENS LABELS ROWS STEPS: tokens and labels below these numbers, a label for
 * each step if there are more than two, else one for each row. */
#include <lstm_dl.h>

#include "support.h"

enum { STEPS_MADE = 3, THREADS = 2 };

static long long memory_now(const char *key) {
  char line[256];
  long long kilobytes = -1;
  FILE *status = fopen("/proc/self/status", "r");
  CHECK(status != NULL);
  while (fgets(line, sizeof line, status))
    if (strncmp(line, key, strlen(key)) == 0) kilobytes = atoll(line + strlen(key));
  fclose(status);
  CHECK(kilobytes > 0);
  return 1024 * kilobytes;
}

static int32_t *below(int limit, int64_t count) {
  int32_t *numbers = malloc((size_t)count * sizeof *numbers);
  CHECK(numbers != NULL);
  for (int64_t i = 0; i < count; i++) numbers[i] = (int32_t)(random_number() % (uint64_t)limit);
  return numbers;
}

int main(int count, char **arguments) {
  if (count != 7) return 2;
  open_library(arguments[1]);
  const int tokens = atoi(arguments[3]), labels = atoi(arguments[4]), rows = atoi(arguments[5]);
  const int steps = atoi(arguments[6]), per_row = labels > 2 ? steps : 1;
  const lstm_array x = array_of(LSTM_INT32, below(tokens, (int64_t)rows * steps), 2, rows, steps, 0);
  const lstm_array y = array_of(LSTM_INT32, below(labels, (int64_t)rows * per_row), 2, rows, per_row, 0);
  lstm_model *model;
  lstm_trainer *trainer;
  const long long before = memory_now("VmRSS:");
  OK(lstm_create(arguments[2], NULL, &model));
  OK(lstm_trainer_create(model, &trainer));
  OK(lstm_trainer_set_threads(trainer, THREADS));
  for (int i = 0; i < STEPS_MADE; i++) OK(lstm_trainer_step(trainer, &x, &y, NULL, NULL));
  printf("before=%lld peak=%lld\n", before, memory_now("VmHWM:"));
  return 0;
}
