/* A training loop of one's own: batches made while training (sums of random numbers), a learning rate that falls, a look
 * at the gradient, and an end when the loss is low enough. */
#include "example.h"
#include <math.h>

enum { BATCH = 32, STEPS = 10, MOST_BATCHES = 2000 };

static float random_number(void) { return (float)rand() / (float)RAND_MAX - 0.5f; }

/* Sequences of length 1 to STEPS; the target is the sum of the valid numbers. */
static void make_batch(float x[BATCH][STEPS], float y[BATCH], int64_t lengths[BATCH]) {
  for (int i = 0; i < BATCH; i++) {
    lengths[i] = 1 + rand() % STEPS;
    y[i] = 0;
    for (int t = 0; t < STEPS; t++) {
      x[i][t] = random_number();
      if (t < lengths[i]) y[i] += x[i][t];
    }
  }
}

int main(void) {
  static float x[BATCH][STEPS], y[BATCH], gradient[4 * 16 * 16];
  static int64_t lengths[BATCH];
  lstm_array xs = view(LSTM_FLOAT32, x, BATCH, STEPS, 1), ys = view(LSTM_FLOAT32, y, BATCH, 0, 0);
  xs.lengths = lengths; /* what lies behind a sequence's end is never read */
  srand(1);

  lstm_model *model;
  lstm_trainer *trainer;
  CHECK(
      lstm_create("{'input_shape': [null, 1], 'layers': [{'type': 'lstm', 'units': 16}, {'type': 'dense', 'units': 1}],"
                  " 'training': {'loss': 'mse', 'optimizer': {'type': 'adam', 'clipnorm': 1}}}",
                  NULL, &model));
  CHECK(lstm_trainer_create(model, &trainer));

  double loss, smooth = 1;
  int batch = 0;
  for (; batch < MOST_BATCHES && smooth > 0.002; batch++) {
    make_batch(x, y, lengths);
    CHECK(lstm_trainer_set_learning_rate(trainer, 0.01 / (1 + batch / 500.0)));
    CHECK(lstm_trainer_step(trainer, &xs, &ys, NULL, &loss));
    smooth = 0.98 * smooth + 0.02 * loss;
    if (batch % 100 == 0) {
      size_t count;
      double norm = 0;
      CHECK(lstm_trainer_gradient(trainer, "lstm.recurrent_weights", gradient, sizeof gradient / sizeof *gradient,
                                  &count));
      for (size_t i = 0; i < count; i++) norm += gradient[i] * gradient[i];
      printf("batch %4d  loss %.5f  |gradient| %.4f\n", batch, loss, sqrt(norm));
    }
  }
  lstm_trainer_free(trainer);
  printf("loss %.5f after %d batches\n", smooth, batch);

  float answer;
  const float three[3] = {0.2f, -0.1f, 0.3f};
  lstm_array question = view(LSTM_FLOAT32, three, 1, 3, 1);
  CHECK(lstm_predict(model, &question, NULL, &answer, 1, NULL));
  printf("0.2 - 0.1 + 0.3 = %.3f\n", answer);
  lstm_free(model);
  return fabsf(answer - 0.4f) > 0.1f;
}
