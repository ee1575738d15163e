/* Training that was broken off and taken up again from a file ends with the same bits as training that never stopped:
 * the file holds the optimizer's state, the random state and the epochs done. */
#include "example.h"
#include <math.h>
#include <string.h>

enum { SAMPLES = 96, STEPS = 12, WEIGHTS = 4 * 12 * 12 };

static float x[SAMPLES][STEPS], y[SAMPLES];

static lstm_model *new_model(void) {
  lstm_model *model;
  CHECK(lstm_create("{'seed': 7, 'input_shape': [null, 1],"
                    " 'layers': [{'type': 'lstm', 'units': 12, 'dropout': 0.1}, {'type': 'dense', 'units': 1}],"
                    " 'training': {'loss': 'mse', 'optimizer': 'rmsprop'}}",
                    NULL, &model));
  return model;
}

static void train(lstm_model *model, uint32_t epochs) {
  lstm_array xs = view(LSTM_FLOAT32, x, SAMPLES, STEPS, 1), ys = view(LSTM_FLOAT32, y, SAMPLES, 0, 0);
  lstm_options options;
  CHECK(lstm_options_init(&options, sizeof options));
  options.epochs = epochs;
  CHECK(lstm_train(model, &xs, &ys, &options, NULL));
}

static void weights_of(const lstm_model *model, float values[WEIGHTS]) {
  CHECK(lstm_get_parameter(model, "lstm.recurrent_weights", values, WEIGHTS, NULL));
}

int main(int argc, char **argv) {
  const char *path = argc > 1 ? argv[1] : "resume.safetensors";
  static float straight[WEIGHTS], resumed[WEIGHTS], copied[WEIGHTS];
  for (int i = 0; i < SAMPLES; i++)
    for (int t = 0; t < STEPS; t++) y[i] = x[i][t] = sinf((float)(3 * i + t) / 5);

  lstm_model *model = new_model();
  train(model, 6);
  weights_of(model, straight);
  lstm_free(model);

  model = new_model();
  train(model, 2);
  CHECK(lstm_save(model, path, 0));
  lstm_free(model);
  CHECK(lstm_load(path, NULL, &model));
  train(model, 4);
  weights_of(model, resumed);
  printf("6 epochs %s 2 epochs, a file and 4 more\n",
         memcmp(straight, resumed, sizeof straight) ? "DIFFER FROM" : "equal");

  /* The same bytes in memory: to send, to keep in a database. Without the optimizer's state they are fewer. */
  size_t whole, size;
  CHECK(lstm_save_buffer(model, 0, NULL, 0, &whole));
  CHECK(lstm_save_buffer(model, LSTM_SAVE_WEIGHTS_ONLY, NULL, 0, &size));
  void *bytes = malloc(size);
  if (!bytes) return perror("buffer"), 1;
  CHECK(lstm_save_buffer(model, LSTM_SAVE_WEIGHTS_ONLY, bytes, size, NULL));
  lstm_free(model);
  CHECK(lstm_load_buffer(bytes, size, NULL, &model));
  free(bytes);
  weights_of(model, copied);
  printf("%zu bytes with the training state, %zu without\n", whole, size);
  lstm_free(model);
  return memcmp(straight, resumed, sizeof straight) || memcmp(resumed, copied, sizeof copied);
}
