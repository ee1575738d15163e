/* One value at a time: learns to foretell the next value of a signal, then listens to it step by step as it arrives. The
 * state is put aside in the middle and taken up again, and every answer has the bits of the whole sequence's answer. */
#include "example.h"
#include <math.h>
#include <string.h>

enum { SEQUENCES = 64, STEPS = 50 };

static float signal_at(int step) { return 0.6f * sinf(0.3f * (float)step) + 0.4f * sinf(0.11f * (float)step); }

int main(void) {
  static float x[SEQUENCES][STEPS], y[SEQUENCES][STEPS];
  for (int i = 0; i < SEQUENCES; i++)
    for (int t = 0; t < STEPS; t++) x[i][t] = signal_at(17 * i + t), y[i][t] = signal_at(17 * i + t + 1);
  lstm_array xs = view(LSTM_FLOAT32, x, SEQUENCES, STEPS, 1), ys = view(LSTM_FLOAT32, y, SEQUENCES, STEPS, 1);

  lstm_model *model;
  CHECK(lstm_create("{'input_shape': [null, 1], 'layers': [{'type': 'lstm', 'units': 24, 'return_sequences': true},"
                    "                                      {'type': 'dense', 'units': 1}],"
                    " 'training': {'loss': 'mse', 'optimizer': {'type': 'adam', 'learning_rate': 0.01}}}",
                    NULL, &model));
  lstm_options options;
  CHECK(lstm_options_init(&options, sizeof options));
  options.epochs = 60;
  CHECK(lstm_train(model, &xs, &ys, &options, NULL));

  /* The whole sequence at once, to compare with. */
  static float incoming[STEPS], whole[STEPS], streamed[STEPS];
  for (int t = 0; t < STEPS; t++) incoming[t] = signal_at(5000 + t);
  lstm_array sequence = view(LSTM_FLOAT32, incoming, 1, STEPS, 1);
  CHECK(lstm_predict(model, &sequence, NULL, whole, STEPS, NULL));

  lstm_stream *stream;
  size_t inputs, outputs, state_count;
  CHECK(lstm_stream_create(model, &stream));
  CHECK(lstm_stream_sizes(stream, &inputs, &outputs));
  CHECK(lstm_stream_get_state(stream, NULL, 0, &state_count));
  printf("a step takes %zu number and gives %zu; the state is %zu numbers\n", inputs, outputs, state_count);
  for (int t = 0; t < STEPS / 2; t++) CHECK(lstm_stream_step(stream, &incoming[t], 1, &streamed[t], 1));

  /* The state can be kept anywhere and for any time; here another stream takes it over. */
  float *state = malloc(state_count * sizeof *state);
  if (!state) return perror("state"), 1;
  CHECK(lstm_stream_get_state(stream, state, state_count, NULL));
  lstm_stream_free(stream);
  CHECK(lstm_stream_create(model, &stream));
  CHECK(lstm_stream_set_state(stream, state, state_count));
  free(state);

  /* A block of steps is one call. */
  CHECK(lstm_stream_process(stream, STEPS - STEPS / 2, &incoming[STEPS / 2], STEPS - STEPS / 2, &streamed[STEPS / 2],
                            STEPS - STEPS / 2));

  double error = 0;
  for (int t = 10; t < STEPS; t++) error += fabsf(streamed[t] - signal_at(5000 + t + 1)) / (STEPS - 10);
  printf("mean error %.4f\n", error);
  printf("streamed %s the whole sequence\n", memcmp(streamed, whole, sizeof whole) ? "DIFFERS FROM" : "equals");
  lstm_stream_free(stream);
  lstm_free(model);
  return memcmp(streamed, whole, sizeof whole) != 0;
}
