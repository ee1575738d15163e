/* Every function of lstm.h at least once, with every option of training, for valgrind and AddressSanitizer: all memory
 * that the program takes it gives back. Usage: exercise LIBRARY, in a folder of its own. */
#include <lstm_dl.h>

#include "support.h"

#include <sys/wait.h>
#include <unistd.h>

static size_t live_blocks;

static void *counting_allocate(size_t size, size_t alignment, void *user) {
  CHECK(user == &live_blocks && alignment <= 64);
  live_blocks++;
  return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void counting_deallocate(void *memory, size_t size, void *user) {
  CHECK(user == &live_blocks && (size > 0 || memory));
  live_blocks--;
  free(memory);
}

static const lstm_allocator allocator = {sizeof allocator, 0, counting_allocate, counting_deallocate, &live_blocks};

static void describe_library(void) {
  CHECK(strcmp(lstm_version(), LSTM_VERSION) == 0);
  CHECK(strlen(lstm_build_info()) > 0 && strlen(lstm_strerror(LSTM_ERR_ARG)) > 0);
  OK(lstm_use_kernels("baseline"));
  CHECK(strcmp(lstm_kernels(), "baseline") == 0);
  if (lstm_use_kernels("avx2") != LSTM_OK) CHECK(strcmp(lstm_kernels(), "baseline") == 0);
}

static void read_parameters(lstm_model *model) {
  size_t count, needed;
  float values[4096];
  OK(lstm_parameter_count(model, &count));
  for (size_t i = 0; i < count; i++) {
    lstm_parameter info = {.struct_size = sizeof info};
    OK(lstm_parameter_info(model, i, &info));
    CHECK(info.count <= 4096);
    OK(lstm_get_parameter(model, info.name, values, info.count, &needed));
    CHECK(needed == info.count);
    OK(lstm_set_parameter(model, info.name, values, info.count));
  }
  CHECK(lstm_parameter_info(model, count, &(lstm_parameter){.struct_size = sizeof(lstm_parameter)}) == LSTM_ERR_ARG);
}

static void read_texts(const lstm_model *model) {
  size_t needed;
  char *text;
  OK(lstm_describe(model, NULL, 0, &needed));
  CHECK((text = malloc(needed)) != NULL);
  OK(lstm_describe(model, text, needed, NULL));
  CHECK(text[needed - 1] == 0 && strlen(text) == needed - 1);
  CHECK(lstm_describe(model, text, needed - 1, NULL) == LSTM_ERR_ARG);
  free(text);
  OK(lstm_summary(model, NULL, 0, &needed));
  CHECK((text = malloc(needed)) != NULL);
  OK(lstm_summary(model, text, needed, NULL));
  free(text);
}

static int progress_lines, log_lines;
static int show_progress(const lstm_progress *progress, void *user) {
  CHECK(progress->struct_size >= sizeof *progress && user == &progress_lines);
  for (uint32_t i = 0; i < progress->columns; i++)
    progress_lines += progress->names[i] != NULL && progress->values[i] == progress->values[i];
  return progress->epoch == 3;
}
static void show_log(int level, const char *line, void *user) {
  log_lines += level >= LSTM_LOG_DEBUG && line && user == &log_lines;
}

static void train_with_every_option(lstm_model *model) {
  double values[4 * LSTM_MAX_COLUMNS];
  static const double class_weights[2] = {1, 2};
  lstm_history history;
  lstm_options options = options_with(6, 3);
  OK(lstm_history_init(&history, sizeof history, values, 4));
  options.seed = 5, options.validation_split = 0.25, options.sample_weights = &data.weights;
  options.early_stopping = 1, options.patience = 9, options.start_from_epoch = 1, options.monitor = "val_loss";
  options.progress = show_progress, options.progress_user = &progress_lines, options.progress_batches = 2;
  options.log = show_log, options.log_user = &log_lines, options.log_level = LSTM_LOG_DEBUG;
  CHECK(lstm_train(model, &data.x, &data.y, &options, &history) == LSTM_STOPPED);
  CHECK(progress_lines > 0 && history.rows >= 3 && history.columns >= 2);
  options = options_with(2, 4);
  options.validation_x = &data.x, options.validation_y = &data.y, options.shuffle = 0;
  options.validation_weights = &data.weights;
  OK(lstm_train(model, &data.x, &data.y, &options, &history));
  OK(lstm_evaluate(model, &data.x, &data.y, &options, &history));
  options.validation_x = options.validation_y = options.validation_weights = NULL;
  options.class_weights = class_weights, options.class_count = 2;
  CHECK(lstm_train(model, &data.x, &data.y, &options, NULL) <=
        LSTM_OK); /* weights of classes for numbers: may be refused */
}

static void train_with_each_optimizer(lstm_model *model) {
  static const char *const training[] = {
      "{'loss': 'mae', 'optimizer': {'type': 'sgd', 'momentum': 0.9, 'nesterov': true, 'clipvalue': 0.5}}",
      "{'loss': 'huber', 'optimizer': {'type': 'rmsprop', 'momentum': 0.1, 'centered': true, 'clipnorm': 1}}",
      "{'loss': {'type': 'huber', 'delta': 2}, 'optimizer': {'type': 'adam', 'amsgrad': true}, 'metrics': ['mse', "
      "'mae']}",
      "{'loss': 'mse', 'optimizer': {'type': 'adamw', 'weight_decay': 0.1, 'global_clipnorm': 2}}",
      "{'loss': {'type': 'binary_crossentropy', 'from_logits': true}, 'optimizer': 'adagrad', 'metrics': ['accuracy', "
      "'auc', 'precision', 'recall']}"};
  for (size_t i = 0; i < sizeof training / sizeof *training; i++) {
    OK(lstm_compile(model, training[i]));
    train_numbers(model, 1);
  }
  CHECK(lstm_compile(model, "{'loss': 'mse', 'optimizer': {'type': 'sgd', 'rate': 1}}") == LSTM_ERR_ARG);
}

/* Two batches of all rows, of which the second is asked for the second time. */
static int give(uint64_t epoch, size_t batch, lstm_array *x, lstm_array *y, lstm_array *weights, void *user) {
  int *left = user;
  CHECK(epoch < 3 && x->data == NULL && weights->struct_size == sizeof *weights);
  if (batch == 2) return LSTM_SOURCE_END;
  if (batch == 1 && (*left)-- == 0) return 77;
  *x = data.x, *y = data.y;
  if (batch == 1) *weights = data.weights;
  return LSTM_OK;
}

static int halve(const lstm_progress *progress, void *user) {
  if (progress->event == LSTM_EVENT_EPOCH_END) OK(lstm_set_learning_rate(user, progress->learning_rate / 2));
  return 0;
}

static void train_from_a_source(lstm_model *model) {
  double values[4 * LSTM_MAX_COLUMNS], rate;
  int left = 0;
  lstm_history history;
  lstm_options options = options_with(2, 3);
  OK(lstm_compile(model, "{'loss': 'mse', 'metrics': ['mae'], 'optimizer': {'type': 'adafactor', 'average_from': 2,"
                         " 'gradient_accumulation_steps': 2, 'learning_rate': 0.5}}"));
  OK(lstm_history_init(&history, sizeof history, values, 4));
  options.progress = halve, options.progress_user = model;
  CHECK(lstm_train_from(model, give, &left, &options, &history) == LSTM_ERR_SOURCE);
  left = 9, options.resume = 1, options.reduce_on_plateau = 1, options.plateau_monitor = "loss";
  OK(lstm_train_from(model, give, &left, &options, &history));
  CHECK(history.rows == 2 && left == 7);
  OK(lstm_learning_rate(model, &rate));
  CHECK(rate == 0.125);
  OK(lstm_evaluate_from(model, give, &left, &options, &history));
  OK(lstm_serve_average(model, 0));
  OK(lstm_serve_average(model, 1));
}

static void train_with_each_loss(lstm_model *model) {
  static const char *const training[] = {
      "{'loss': {'type': 'quantile', 'quantiles': [0.5]}, 'metrics': ['r2', 'rmse', 'mape', 'msle', "
      "'cosine_similarity']}",
      "{'loss': {'type': 'binary_focal_crossentropy', 'from_logits': true, 'apply_class_balancing': true},"
      " 'metrics': ['f1', 'f1_weighted', {'type': 'precision_micro', 'threshold': 0}]}",
      "{'loss': {'type': 'categorical_focal_crossentropy', 'from_logits': true, 'label_smoothing': 0.1},"
      " 'metrics': ['recall_macro', 'perplexity', 'kl_divergence', 'poisson']}",
      "{'loss': {'type': 'kl_divergence', 'from_logits': true}}",
      "{'loss': 'cosine_similarity'}",
      "{'loss': 'categorical_hinge'}",
      "{'loss': {'type': 'poisson', 'log_input': true}}",
      "{'loss': 'log_cosh'}",
      "{'loss': {'type': 'contrastive', 'margin': 2}}"};
  for (size_t i = 0; i < sizeof training / sizeof *training; i++) {
    OK(lstm_compile(model, training[i]));
    train_numbers(model, 1);
  }
  /* One target for both outputs. */
  const lstm_options options = options_with(1, 3);
  const lstm_array y = array_of(LSTM_FLOAT32, numbers_y, 2, ROWS, 1, 0);
  for (size_t i = 0; i < 3; i++) {
    static const char *const pairs[] = {"{'loss': 'gaussian_nll', 'metrics': ['mae']}",
                                        "{'loss': {'type': 'student_t_nll', 'degrees_of_freedom': 4}}",
                                        "{'loss': {'type': 'contrastive', 'pairs': true}}"};
    OK(lstm_compile(model, pairs[i]));
    OK(lstm_train(model, &data.x, &y, &options, NULL));
  }
  CHECK(lstm_train(model, &data.x, &data.y, &options, NULL) == LSTM_ERR_ARG);
}

/* Labels of the model's outputs, by the model and from its outputs: the same. */
static void decode(const lstm_model *model) {
  static float outputs[ROWS * STEPS * CLASSES];
  static int64_t labels[ROWS * 2 * STEPS], same[ROWS * 2 * STEPS];
  static const int64_t shape[] = {ROWS, STEPS, CLASSES};
  double logarithms[ROWS * 2];
  size_t count;
  lstm_array array;
  lstm_decoding decoding;
  OK(lstm_decoding_init(&decoding, sizeof decoding));
  decoding.beam_width = 4, decoding.best = 2, decoding.probabilities = 1;
  OK(lstm_predict(model, &data.x, NULL, outputs, sizeof outputs / sizeof *outputs, NULL));
  OK(lstm_array_init(&array, sizeof array, LSTM_FLOAT32, outputs, 3, shape));
  array.lengths = numbers_lengths;
  OK(lstm_ctc_decode(&array, &decoding, NULL, 0, &count, NULL, 0));
  CHECK(count == sizeof labels / sizeof *labels);
  OK(lstm_ctc_decode(&array, &decoding, labels, count, NULL, logarithms, sizeof logarithms / sizeof *logarithms));
  for (int i = 0; i < ROWS; i++) CHECK(logarithms[2 * i] >= logarithms[2 * i + 1] && logarithms[2 * i] <= 1e-6);
  OK(lstm_decode(model, &data.x, &decoding, same, count, NULL, NULL, 0));
  CHECK(memcmp(labels, same, sizeof labels) == 0);
}

static void train_classes(void) {
  static const double class_weights[CLASSES] = {1, 2, 0.5};
  double values[LSTM_MAX_COLUMNS], loss;
  int64_t counts[CLASSES * CLASSES], sum = 0, steps = 0;
  size_t needed;
  lstm_history history;
  lstm_trainer *trainer;
  lstm_model *model = make_classes(&allocator);
  lstm_options options = options_with(2, 3);
  options.sample_weights = &data.step_weights, options.class_weights = class_weights, options.class_count = CLASSES;
  options.validation_split = 0.25;
  OK(lstm_train(model, &data.x, &data.classes, &options, NULL));
  OK(lstm_history_init(&history, sizeof history, values, 1));
  OK(lstm_evaluate(model, &data.x, &data.classes, &options, &history));
  CHECK(history.columns == 6);
  OK(lstm_confusion_matrix(model, &data.x, &data.classes, NULL, NULL, 0, &needed));
  CHECK(needed == CLASSES * CLASSES);
  OK(lstm_confusion_matrix(model, &data.x, &data.classes, &options, counts, needed, NULL));
  for (int i = 0; i < CLASSES * CLASSES; i++) sum += counts[i];
  decode(model);
  for (int i = 0; i < ROWS; i++) steps += numbers_lengths[i];
  CHECK(sum == steps);
  OK(lstm_trainer_create(model, &trainer));
  OK(lstm_trainer_set_class_weights(trainer, class_weights, CLASSES));
  OK(lstm_trainer_step(trainer, &data.x, &data.classes, &data.step_weights, &loss));
  OK(lstm_trainer_set_class_weights(trainer, NULL, 0));
  lstm_trainer_free(trainer);
  lstm_free(model);
}

static void learn_online(const lstm_model *model) {
  const lstm_array y = array_of(LSTM_FLOAT32, numbers_y, 2, 1, OUTPUTS, 0);
  lstm_model *served, *learner;
  lstm_trainer *trainer;
  lstm_stream *stream;
  double loss;
  float outputs[STEPS * OUTPUTS];
  OK(lstm_clone(model, &served));
  OK(lstm_clone(served, &learner));
  OK(lstm_trainer_create(learner, &trainer));
  OK(lstm_set_publishing(served, 1));
  OK(lstm_stream_create(served, &stream));
  OK(lstm_stream_keep(stream, STEPS));
  for (int i = 0; i < 3; i++) {
    OK(lstm_stream_process(stream, STEPS, numbers_x, STEPS * FEATURES, outputs, STEPS * OUTPUTS));
    OK(lstm_trainer_learn(trainer, stream, &y, &loss));
    OK(lstm_publish(served, learner));
  }
  OK(lstm_set_publishing(served, 0));
  lstm_stream_free(stream), lstm_trainer_free(trainer), lstm_free(served), lstm_free(learner);
}

static void train_by_hand(lstm_model *model) {
  lstm_trainer *trainer;
  double loss, rate;
  float gradient[OUTPUTS];
  double norms[64];
  size_t count;
  OK(lstm_trainer_create(model, &trainer));
  OK(lstm_trainer_learning_rate(trainer, &rate));
  OK(lstm_trainer_set_learning_rate(trainer, rate / 2));
  OK(lstm_trainer_step(trainer, &data.x, &data.y, &data.weights, &loss));
  CHECK(lstm_trainer_reset_state(trainer) == LSTM_ERR_ARG && lstm_trainer_carry(trainer, 2) == LSTM_ERR_ARG);
  OK(lstm_trainer_carry(trainer, 1));
  for (int i = 0; i < 3; i++) OK(lstm_trainer_step(trainer, &data.x, &data.y, NULL, NULL));
  OK(lstm_trainer_reset_state(trainer));
  OK(lstm_trainer_set_threads(trainer, 2));
  OK(lstm_trainer_step(trainer, &data.x, &data.y, NULL, NULL));
  OK(lstm_trainer_gradient(trainer, "last.bias", gradient, OUTPUTS, NULL));
  OK(lstm_trainer_gradient_norms(trainer, norms, 64, &count));
  CHECK(count > 2 && count <= 64 && norms[0] == 0 && norms[count - 1] > 0); /* what normalizes is not trained */
  CHECK(lstm_trainer_step(trainer, &data.y, &data.x, NULL, NULL) == LSTM_ERR_ARG);
  lstm_trainer_free(trainer);
}

static void train_pair(void) {
  enum { ALL = ROWS * OUTPUTS + ROWS * STEPS * CLASSES };
  double values[4 * LSTM_MAX_COLUMNS], loss;
  float y[ALL], again[ALL];
  int64_t shape[LSTM_MAX_RANK];
  uint32_t rank;
  size_t count;
  lstm_history history;
  lstm_trainer *trainer;
  lstm_predictor *predictor;
  lstm_stream *stream;
  lstm_model *model = make_pair(&allocator), *single = make_numbers(&allocator), *copy;
  lstm_options options = options_with(2, 3);
  OK(lstm_adapt_many(model, &data.pair));
  options.validation = &data.pair;
  OK(lstm_history_init(&history, sizeof history, values, 4));
  OK(lstm_train_many(model, &data.pair, &options, &history));
  CHECK(history.columns == 10 && strcmp(history.names[9], "val_kind_loss") == 0);
  OK(lstm_evaluate_many(model, &data.pair, NULL, &history));
  OK(lstm_trainer_create(model, &trainer));
  for (int i = 0; i < 2; i++) OK(lstm_trainer_step_many(trainer, &data.pair, &loss));
  lstm_trainer_free(trainer);
  OK(lstm_output_shape_many(model, &data.pair, 1, shape, &rank));
  CHECK(rank == 3 && shape[0] == ROWS && shape[1] == STEPS && shape[2] == CLASSES);
  OK(lstm_predict_many(model, &data.pair, &options, NULL, 0, &count));
  CHECK(count == ALL);
  OK(lstm_predict_many(model, &data.pair, &options, y, count, NULL));
  OK(lstm_predictor_create(model, 2, &predictor));
  for (int i = 0; i < 2; i++) OK(lstm_predictor_run_many(predictor, &data.pair, again, count, NULL));
  CHECK(memcmp(y, again, sizeof y) == 0);
  lstm_predictor_free(predictor);
  const blob saved = save_blob(model);
  OK(lstm_load_buffer(saved.bytes, saved.count, &allocator, &copy));
  OK(lstm_predict_many(copy, &data.pair, &options, again, count, NULL));
  CHECK(memcmp(y, again, sizeof y) == 0);
  free(saved.bytes), lstm_free(copy);
  CHECK(lstm_stream_create(model, &stream) == LSTM_ERR_UNSUPPORTED);
  CHECK(lstm_train(model, &data.x, &data.y, NULL, NULL) == LSTM_ERR_ARG);
  CHECK(lstm_train_many(model, &data.single, NULL, NULL) == LSTM_ERR_ARG);
  OK(lstm_train_many(single, &data.single, NULL, NULL));
  lstm_free(single), lstm_free(model);
}

static void predict(const lstm_model *model, const lstm_array *x) {
  float y[ROWS * STEPS * CLASSES], again[ROWS * STEPS * CLASSES];
  int64_t shape[LSTM_MAX_RANK];
  uint32_t rank;
  size_t count;
  lstm_predictor *predictor;
  lstm_options options = options_with(1, 3);
  options.threads = 2;
  OK(lstm_output_shape(model, x, shape, &rank));
  OK(lstm_predict(model, x, &options, NULL, 0, &count));
  CHECK(rank == 2 && (size_t)(shape[0] * shape[1]) == count);
  OK(lstm_predict(model, x, &options, y, count, NULL));
  CHECK(lstm_predict(model, x, &options, y, count - 1, NULL) == LSTM_ERR_ARG);
  OK(lstm_predictor_create(model, 2, &predictor));
  for (int i = 0; i < 3; i++) OK(lstm_predictor_run(predictor, x, again, count, NULL));
  CHECK(memcmp(y, again, count * sizeof *y) == 0);
  lstm_predictor_free(predictor);
}

static void look_inside(const lstm_model *model) {
  static float gates[ROWS * STEPS * 4 * 4], slopes[ROWS * STEPS * FEATURES];
  int64_t shape[LSTM_MAX_RANK];
  uint32_t rank;
  size_t count;
  const size_t room = sizeof gates / sizeof *gates;
  OK(lstm_inspect(model, &data.x, "top", "gates", shape, &rank, NULL, 0, &count));
  CHECK(rank == 4 && shape[0] == ROWS && shape[1] == STEPS && shape[2] == 4 && shape[3] == 4 && count == room);
  OK(lstm_inspect(model, &data.x, "top", "gates", NULL, NULL, gates, room, NULL));
  OK(lstm_inspect_many(model, &data.single, "top", "hidden", shape, &rank, gates, room, &count));
  CHECK(rank == 3 && count == ROWS * STEPS * 4);
  CHECK(lstm_inspect(model, &data.x, "last", "gates", shape, &rank, NULL, 0, NULL) == LSTM_ERR_UNSUPPORTED);
  CHECK(lstm_inspect(model, &data.x, "first", "gates", shape, &rank, NULL, 0, NULL) == LSTM_ERR_ARG);
  for (uint32_t steps = 0; steps < 3; steps++) {
    OK(lstm_saliency(model, &data.x, 1, steps, shape, &rank, slopes, sizeof slopes / sizeof *slopes, &count));
    CHECK(rank == 3 && shape[2] == FEATURES && count == sizeof slopes / sizeof *slopes);
  }
  CHECK(lstm_saliency(model, &data.x, OUTPUTS, 0, shape, &rank, slopes, count, NULL) == LSTM_ERR_ARG);
}

static void stream(const lstm_model *model) {
  float y[STEPS * OUTPUTS], state[256];
  size_t inputs, outputs, count;
  lstm_stream *stream, *pair[2];
  OK(lstm_stream_create(model, &stream));
  OK(lstm_stream_sizes(stream, &inputs, &outputs));
  CHECK(inputs == FEATURES && outputs == OUTPUTS);
  OK(lstm_stream_step(stream, numbers_x, inputs, y, outputs));
  OK(lstm_stream_get_state(stream, state, 256, &count));
  OK(lstm_stream_process(stream, STEPS, numbers_x, STEPS * inputs, y, STEPS * outputs));
  OK(lstm_stream_set_threads(stream, 2));
  OK(lstm_stream_step(stream, numbers_x, inputs, y, outputs));
  OK(lstm_stream_set_state(stream, state, count));
  OK(lstm_stream_reset(stream));
  pair[0] = stream;
  OK(lstm_stream_create(model, &pair[1]));
  OK(lstm_streams_step(pair, 2, numbers_x, 2 * inputs, y, 2 * outputs, 2));
  lstm_stream_free(pair[1]);
  lstm_stream_free(stream);
}

static int stop_at_three(size_t sequence, size_t index, int32_t token, double log_probability, void *user) {
  CHECK(sequence < 2 && token >= 0 && log_probability < 0 && user == &data);
  return index == 3;
}

static void generate(void) {
  lstm_model *model = make_language(&allocator);
  lstm_generate_options options = generate_options(2, 7);
  lstm_generator *generator;
  int32_t tokens[14], token;
  double logs[2];
  char text[64];
  size_t count;
  options.top_k = 3, options.top_p = 0.9, options.repetition_penalty = 1.1, options.temperature = 0.7;
  options.end_tokens = prompt_tokens, options.end_count = 1, options.min_length = 2;
  options.suppressed = prompt_tokens + 1, options.suppressed_count = 1;
  OK(lstm_tokenize(model, "ab c.", tokens, 14, &count));
  CHECK(count == 5 && tokens[0] == 2 && tokens[4] == 6);
  CHECK(lstm_tokenize(model, "ab c.", tokens, 4, &count) == LSTM_ERR_ARG && count == 5);
  OK(lstm_detokenize(model, tokens, 5, text, sizeof text, &count));
  CHECK(strcmp(text, "ab c.") == 0 && count == 6);
  OK(lstm_generate(model, &data.prompt, &options, tokens, 14, &count, logs));
  CHECK(count == 14 && tokens[0] >= 1 && logs[0] < 0);
  options.token = stop_at_three, options.token_user = &data, options.end_count = 0, options.threads = 2;
  CHECK(lstm_generate(model, &data.prompt, &options, tokens, 14, NULL, NULL) == LSTM_STOPPED && tokens[4] == -1);
  options = generate_options(2, 7), options.beams = 3, options.length_penalty = 0.6;
  options.end_tokens = prompt_tokens, options.end_count = 1;
  OK(lstm_generate(model, &data.prompt, &options, tokens, 14, NULL, logs));
  CHECK(logs[0] < 0 && lstm_generate(model, &data.text, &options, tokens, 14, NULL, NULL) == LSTM_ERR_ARG);
  options = generate_options(1, 2);
  OK(lstm_generator_create(model, &data.prompt, &options, &generator));
  lstm_free(model);
  for (int i = 0; i < 4; i++) OK(lstm_generator_next(generator, &token, logs));
  CHECK(token == -1);
  lstm_generator_free(generator);
}

/* From a source: drawn, by beams and token by token, which are the same when greedy. */
static void generate_from(void) {
  lstm_model *model = make_writer(&allocator);
  lstm_generate_options options = generate_options(2, 7);
  lstm_generator *generator;
  int32_t tokens[14], token;
  double logs[2];
  size_t count;
  options.threads = 2;
  OK(lstm_generate_from(model, &data.source, &data.prompt, &options, tokens, 14, &count, logs));
  CHECK(count == 14 && tokens[0] >= 0 && logs[0] < 0);
  options = generate_options(2, 7), options.beams = 3;
  OK(lstm_generate_from(model, &data.source, &data.prompt, &options, tokens, 14, NULL, logs));
  CHECK(lstm_generate(model, &data.prompt, &options, tokens, 14, NULL, NULL) == LSTM_ERR_ARG);
  CHECK(lstm_generate_from(model, &data.prompt, &data.prompt, &options, tokens, 14, NULL, NULL) == LSTM_ERR_ARG);
  options = generate_options(1, 7), options.temperature = 0;
  OK(lstm_generate_from(model, &data.source, &data.prompt, &options, tokens, 7, NULL, NULL));
  OK(lstm_generator_create_from(model, &data.source, &data.prompt, &options, &generator));
  lstm_free(model);
  for (int i = 0; i < 7; i++) {
    OK(lstm_generator_next(generator, &token, logs));
    CHECK(token == tokens[i]);
  }
  lstm_generator_free(generator);
}

static void forecast(void) {
  lstm_model *model = make_forecaster(&allocator);
  lstm_stream *stream;
  float y[STEPS * 2];
  OK(lstm_stream_create(model, &stream));
  OK(lstm_stream_forecast(stream, STEPS, numbers_x, 2, y, STEPS * 2));
  lstm_stream_free(stream);
  lstm_free(model);
}

static void save_and_load(const lstm_model *model) {
  lstm_model *loaded, *copy;
  const blob saved = save_blob(model);
  OK(lstm_save(model, "exercise.safetensors", LSTM_SAVE_WEIGHTS_ONLY));
  OK(lstm_load("exercise.safetensors", &allocator, &loaded));
  OK(lstm_load_buffer(saved.bytes, saved.count, &allocator, &copy));
  CHECK(lstm_load_buffer(saved.bytes, saved.count - 1, NULL, &loaded) == LSTM_ERR_FORMAT);
  CHECK(lstm_load("none.safetensors", NULL, &loaded) == LSTM_ERR_IO);
  const blob again = save_blob(copy);
  CHECK(equal_blobs(again, saved));
  free(saved.bytes), free(again.bytes);
  lstm_free(loaded);
  lstm_free(copy);
}

static void compress(const lstm_model *model, const lstm_array *x, int streams) {
  lstm_model *compressed;
  lstm_trainer *trainer;
  for (uint32_t format = LSTM_BF16; format <= LSTM_INT8; format++) {
    OK(lstm_compress(model, format, &compressed));
    predict(compressed, x);
    if (streams) stream(compressed);
    save_and_load(compressed);
    CHECK(lstm_compile(compressed, "{'loss': 'mse'}") == LSTM_ERR_UNSUPPORTED);
    CHECK(lstm_adapt(compressed, x) == LSTM_ERR_UNSUPPORTED);
    CHECK(lstm_trainer_create(compressed, &trainer) == LSTM_ERR_UNSUPPORTED);
    lstm_free(compressed);
  }
}

static void outlive(lstm_model *model) {
  lstm_model *clone;
  lstm_stream *stream;
  lstm_predictor *predictor;
  float y[ROWS * OUTPUTS];
  OK(lstm_clone(model, &clone));
  OK(lstm_stream_create(clone, &stream));
  OK(lstm_predictor_create(clone, 0, &predictor));
  lstm_free(clone); /* lives until both are freed */
  OK(lstm_stream_step(stream, numbers_x, FEATURES, y, OUTPUTS));
  lstm_stream_free(stream);
  OK(lstm_predictor_run(predictor, &data.x, y, ROWS * OUTPUTS, NULL));
  lstm_predictor_free(predictor);
}

/* Waits for the child of fork(), or ends it. */
static void end_child(pid_t child) {
  int status;
  if (child == 0) exit(0);
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  void *library = open_library(arguments[1]);
  describe_library();
  make_data();
  lstm_model *numbers = make_numbers(&allocator), *text = make_text(&allocator);
  read_parameters(numbers);
  read_texts(numbers), read_texts(text);
  train_with_every_option(numbers);
  train_with_each_optimizer(numbers);
  train_from_a_source(numbers);
  train_with_each_loss(numbers);
  OK(lstm_compile(numbers, "{'loss': 'mse'}"));
  train_classes();
  train_by_hand(numbers);
  learn_online(numbers);
  train_pair();
  predict(numbers, &data.x), predict(text, &data.text);
  look_inside(numbers);
  stream(numbers);
  generate(), generate_from(), forecast();
  save_and_load(numbers), save_and_load(text);
  compress(numbers, &data.x, 1), compress(text, &data.text, 0);
  outlive(numbers);
  const pid_t child = fork(); /* both train on, and both clear up */
  train_numbers(numbers, 1);
  lstm_free(numbers);
  lstm_free(text);
  CHECK(live_blocks == 0);
  CHECK(dlclose(library) == 0);
  end_child(child);
  return 0;
}
