/* A thousand steps of a stream without one allocation or system call, with samples kept and other weights published in
 * between.
 * Usage: stream_quiet LIBRARY quiet|noisy; see quiet.h. */
#include <lstm_dl.h>

#include "quiet.h"

enum { STEPS_MADE = 1000 };

static void step_quietly(lstm_model *model, lstm_stream *stream, size_t inputs, size_t outputs, int noisy) {
  float x[8] = {0.5f}, y[256];
  lstm_model *other;
  OK(lstm_clone(model, &other));
  OK(lstm_set_publishing(model, 1));
  OK(lstm_publish(model, other));
  OK(lstm_stream_keep(stream, 10));
  int failures = 0;
  forbid_system_calls(0);
  long before = count_all_allocations();
  for (int i = 0; i < STEPS_MADE; i++) {
    x[0] = (float)(i % 7);
    failures += lstm_stream_step(stream, x, inputs, y, outputs) != LSTM_OK;
    if (i % 50 != 0) continue;
    const long own = count_all_allocations();
    failures += lstm_publish(model, other) != LSTM_OK;
    before += count_all_allocations() - own;
  }
  failures += lstm_stream_process(stream, 1, x, inputs, y, outputs) != LSTM_OK;
  end_quietly(failures, before, noisy);
}

static void run_in_child(const char *description, int noisy) {
  lstm_model *model;
  lstm_stream *stream;
  size_t inputs, outputs;
  OK(lstm_create(description, NULL, &model));
  OK(lstm_stream_create(model, &stream));
  OK(lstm_stream_sizes(stream, &inputs, &outputs));
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) step_quietly(model, stream, inputs, outputs, noisy);
  report_child(child, "stream");
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  open_library(arguments[1]);
  const int noisy = strcmp(arguments[2], "noisy") == 0;
  run_in_child(numbers_description, noisy);
  run_in_child(
      "{'input_shape': [null, 1], 'layers': [{'type': 'lstm', 'units': 130, 'return_sequences': true},"
      " {'type': 'lstm', 'units': 16, 'activation': 'relu'}, {'type': 'dense', 'units': 3, 'activation': 'softmax'}]}",
      noisy);
  run_in_child(
      "{'layers': [{'type': 'embedding', 'vocabulary': 7, 'units': 8, 'mask_zero': true}, {'type': 'lstm', 'units': 9},"
      " {'type': 'dropout', 'rate': 0.5}, {'type': 'dense', 'units': 2}, {'type': 'activation', 'activation': 'elu'}]}",
      noisy);
  return 0;
}
