/* Trains, forks, and trains on in both processes: parent and child end with the same bits. So do a trainer, a predictor
 * and a stream, whose workers a fork leaves behind; then each process saves and trains a second model of its own. */
#include <lstm_dl.h>

#include "support.h"

#include <sys/wait.h>
#include <unistd.h>

static lstm_trainer *trainer;
static lstm_predictor *predictor;
static lstm_stream *stream;

static void keep_workers(lstm_model *model) {
  float y[ROWS * OUTPUTS];
  OK(lstm_trainer_create(model, &trainer));
  OK(lstm_trainer_set_threads(trainer, 2));
  OK(lstm_trainer_step(trainer, &data.x, &data.y, NULL, NULL));
  OK(lstm_predictor_create(model, 2, &predictor));
  OK(lstm_predictor_run(predictor, &data.x, y, ROWS * OUTPUTS, NULL));
  OK(lstm_stream_create(model, &stream));
  OK(lstm_stream_set_threads(stream, 2));
  OK(lstm_stream_step(stream, numbers_x, FEATURES, y, OUTPUTS));
}

static void train_on(lstm_model *model, int output) {
  float y[(ROWS + 1) * OUTPUTS];
  lstm_model *other;
  for (int i = 0; i < 3; i++) OK(lstm_trainer_step(trainer, &data.x, &data.y, &data.weights, NULL));
  lstm_trainer_free(trainer);
  OK(lstm_predictor_run(predictor, &data.x, y, ROWS * OUTPUTS, NULL));
  lstm_predictor_free(predictor);
  OK(lstm_stream_step(stream, numbers_x, FEATURES, y + ROWS * OUTPUTS, OUTPUTS));
  lstm_stream_free(stream);
  CHECK(write(output, y, sizeof y) == (ssize_t)sizeof y);
  train_numbers(model, 3);
  OK(lstm_clone(model, &other));
  train_numbers(other, 2);
  const blob saved = save_blob(other);
  CHECK(write(output, saved.bytes, saved.count) == (ssize_t)saved.count);
  free(saved.bytes);
  lstm_free(other);
}

static blob read_all(int input) {
  blob content = {malloc(1 << 16), 0};
  for (ssize_t n; (n = read(input, content.bytes + content.count, (1 << 16) - content.count)) > 0;)
    content.count += (size_t)n;
  return content;
}

int main(int count, char **arguments) {
  int child_pipe[2], parent_pipe[2], status;
  if (count != 2) return 2;
  open_library(arguments[1]);
  make_data();
  lstm_model *model = make_numbers(NULL);
  keep_workers(model);
  CHECK(pipe(child_pipe) == 0 && pipe(parent_pipe) == 0);
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    train_on(model, child_pipe[1]);
    lstm_free(model);
    _exit(0);
  }
  train_on(model, parent_pipe[1]);
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  close(child_pipe[1]), close(parent_pipe[1]);
  const blob ours = read_all(parent_pipe[0]), theirs = read_all(child_pipe[0]);
  CHECK(ours.count > 0 && equal_blobs(ours, theirs));
  free(ours.bytes), free(theirs.bytes);
  lstm_free(model);
  return 0;
}
