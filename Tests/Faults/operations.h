/* The operations of allocations.c and what each works on; models take their memory from `allocator`. */
#ifndef OPERATIONS_H
#define OPERATIONS_H

/* ---- What the operations work on --------------------------------------------------------------------------------- */

static lstm_model *numbers, *text, *trained, *classes, *language, *pair;
static lstm_trainer *trainer;
static lstm_predictor *predictor;
static lstm_stream *stream, *streams[2];
static lstm_generator *generator;
static blob file;
static char *many_layers, room[1 << 16];
static lstm_array one_target;
static lstm_options one_step, several_epochs, of_batches;
static lstm_generate_options drawn, searched;
static lstm_history history;

static void nothing(void) {} /* not one call of the library comes before the operation */

static void want_arguments(void) {
  static double values[LSTM_MAX_COLUMNS];
  make_data();
  OK(lstm_history_init(&history, sizeof history, values, 1));
  one_step = options_with(1, ROWS);
  of_batches = options_with(2, 1);
  several_epochs = options_with(3, 3);
  several_epochs.validation_split = 0.25, several_epochs.sample_weights = &data.weights;
  several_epochs.early_stopping = 1, several_epochs.patience = 1;
}
static void want_generate_options(void) {
  drawn = generate_options(3, 6), searched = generate_options(2, 6);
  drawn.top_k = 3, drawn.repetition_penalty = 1.2, drawn.threads = 2;
  searched.beams = 3, searched.end_tokens = prompt_tokens, searched.end_count = 1;
}
static void want_numbers(void) { want_arguments(), numbers = make_numbers(allocator); }
static void want_text(void) { want_arguments(), text = make_text(allocator); }
static void want_classes(void) { want_arguments(), classes = make_classes(allocator); }
static void want_pair(void) { want_arguments(), pair = make_pair(allocator); }
static void want_publishing(void) {
  want_numbers();
  OK(lstm_clone(numbers, &trained));
  OK(lstm_set_publishing(numbers, 1));
}
static void want_pair_trainer(void) {
  want_arguments(), trained = make_pair(allocator);
  OK(lstm_trainer_create(trained, &trainer));
}
static void want_trainer(void) {
  want_arguments(), trained = make_numbers(allocator);
  OK(lstm_trainer_create(trained, &trainer));
}
static void want_stream(void) {
  want_numbers();
  OK(lstm_stream_create(numbers, &stream));
}

static void want_streams(void) {
  want_numbers();
  for (int i = 0; i < 2; i++) OK(lstm_stream_create(numbers, &streams[i]));
}
static void want_learning(void) {
  want_numbers();
  OK(lstm_stream_create(numbers, &stream));
  one_target = array_of(LSTM_FLOAT32, numbers_y, 2, 1, OUTPUTS, 0);
  OK(lstm_stream_keep(stream, STEPS));
  OK(lstm_stream_process(stream, STEPS, numbers_x, STEPS * FEATURES, (float *)room, STEPS * OUTPUTS));
  OK(lstm_clone(numbers, &trained));
  OK(lstm_trainer_create(trained, &trainer));
}
static void want_predictor(void) {
  want_numbers();
  OK(lstm_predictor_create(numbers, 2, &predictor));
}

static void want_language(void) { want_arguments(), want_generate_options(), language = make_language(allocator); }
static void want_writer(void) { want_arguments(), want_generate_options(), language = make_writer(allocator); }
static void want_generator(void) {
  want_language();
  OK(lstm_generator_create(language, &data.prompt, NULL, &generator));
}
static void want_forecaster(void) {
  want_arguments();
  OK(lstm_stream_create(make_forecaster(allocator), &stream));
}

static void describe_many_layers(void) {
  enum { LAYERS = 400 };
  many_layers = malloc(LAYERS * 64 + 256);
  char *end = many_layers + sprintf(many_layers, "{'input_shape': [null, 3], 'layers': [");
  for (int i = 0; i < LAYERS; i++)
    end += sprintf(end, "%s{'type': 'dense', 'units': 2, 'name': 'layer%d'}", i ? ", " : "", i);
  strcpy(end, "], 'training': {'loss': 'mse', 'optimizer': 'adam'}}");
}

/* ---- The operations: each gives back all that it made ------------------------------------------------------------ */

static int freed(int code, lstm_model *model) {
  if (code == LSTM_OK) lstm_free(model);
  return code;
}

static int create(void) {
  lstm_model *m;
  return freed(lstm_create(numbers_description, allocator, &m), m);
}
static int create_text(void) {
  lstm_model *m;
  return freed(lstm_create(text_description, allocator, &m), m);
}
static int create_many(void) {
  lstm_model *m;
  return freed(lstm_create(many_layers, allocator, &m), m);
}
static int create_wrong(void) {
  lstm_model *m;
  return lstm_create("{'layers': [{'type': 'dense', 'units': 'many'}], 'input_shape': [3]}", allocator, &m);
}
static int clone_numbers(void) {
  lstm_model *m;
  return freed(lstm_clone(numbers, &m), m);
}
static int clone_text(void) {
  lstm_model *m;
  return freed(lstm_clone(text, &m), m);
}
static int compress_numbers(void) {
  lstm_model *m;
  return freed(lstm_compress(numbers, LSTM_INT8, &m), m);
}
static int compress_text(void) {
  lstm_model *m;
  return freed(lstm_compress(text, LSTM_BF16, &m), m);
}
static int save_compressed(void) {
  lstm_model *m, *loaded;
  size_t count = 0;
  int code = lstm_compress(numbers, LSTM_INT8, &m);
  if (code != LSTM_OK) return code;
  code = lstm_save_buffer(m, 0, room, sizeof room, &count);
  lstm_free(m);
  return code != LSTM_OK ? code : freed(lstm_load_buffer(room, count, allocator, &loaded), loaded);
}
static int load(void) {
  lstm_model *m;
  return freed(lstm_load(path, allocator, &m), m);
}
static int load_buffer(void) {
  lstm_model *m;
  return freed(lstm_load_buffer(file.bytes, file.count, allocator, &m), m);
}
static int load_damaged(void) {
  lstm_model *m;
  return lstm_load_buffer(file.bytes, file.count - 1, allocator, &m);
}
static int save(void) { return lstm_save(numbers, "saved.safetensors", 0); }
static int save_buffer(void) { return lstm_save_buffer(numbers, 0, room, sizeof room, NULL); }
static int describe_numbers(void) { return lstm_describe(numbers, room, sizeof room, NULL); }
static int describe_text(void) { return lstm_describe(text, room, sizeof room, NULL); }
static int summary(void) { return lstm_summary(numbers, room, sizeof room, NULL); }
static int adapt(void) { return lstm_adapt(numbers, &data.x); }
static int adapt_text(void) { return lstm_adapt(text, &data.text); }
static int compile_numbers(void) {
  return lstm_compile(numbers,
                      "{'loss': 'mae', 'optimizer': {'type': 'adam', 'amsgrad': true, 'use_ema': true, 'learning_rate':"
                      " {'type': 'piecewise_constant_decay', 'boundaries': [1, 2], 'values': [3, 2, 1]}},"
                      " 'metrics': ['mse']}");
}

/* One step of one epoch, so that a failure leaves the model as it was or as one step makes it. */
static int train(void) { return lstm_train(numbers, &data.x, &data.y, &one_step, &history); }
static int train_texts(void) { return lstm_train(text, &data.text, &data.labels, &one_step, &history); }
static int train_long(void) { return lstm_train(numbers, &data.x, &data.y, &several_epochs, NULL); }
static int evaluate(void) { return lstm_evaluate(numbers, &data.x, &data.y, NULL, &history); }

static int two_batches(uint64_t epoch, size_t batch, lstm_array *x, lstm_array *y, lstm_array *weights, void *user) {
  (void)epoch, (void)weights, (void)user;
  *x = data.x, *y = data.y;
  return batch == 2 ? LSTM_SOURCE_END : LSTM_OK;
}
static int train_from(void) { return lstm_train_from(numbers, two_batches, NULL, &of_batches, NULL); }
static int evaluate_from(void) { return lstm_evaluate_from(numbers, two_batches, NULL, NULL, &history); }
static int rate(void) { return lstm_set_learning_rate(numbers, 0.25); }
static int compile_losses(void) {
  return lstm_compile(
      numbers, "{'loss': {'type': 'quantile', 'quantiles': [0.25, 0.75]}, 'metrics': ['r2', 'rmse', 'f1', 'auc']}");
}
static int evaluate_classes(void) { return lstm_evaluate(classes, &data.x, &data.classes, NULL, &history); }
static int confusion(void) {
  return lstm_confusion_matrix(classes, &data.x, &data.classes, NULL, (int64_t *)room, sizeof room / 8, NULL);
}

static int decode(void) {
  const lstm_decoding decoding = {sizeof decoding, 3, 2, 0, 0, 0};
  return lstm_decode(classes, &data.x, &decoding, (int64_t *)room, sizeof room / 8, NULL, NULL, 0);
}
static int inspect(void) {
  return lstm_inspect(numbers, &data.x, "top", "gates", NULL, NULL, (float *)room, sizeof room / 4, NULL);
}
static int saliency(void) {
  return lstm_saliency(numbers, &data.x, 1, 2, NULL, NULL, (float *)room, sizeof room / 4, NULL);
}
static int saliency_text(void) {
  return lstm_saliency(text, &data.text, 1, 0, NULL, NULL, (float *)room, sizeof room / 4, NULL);
}
static int decode_outputs(void) {
  return lstm_ctc_decode(&data.x, NULL, (int64_t *)room, sizeof room / 8, NULL, NULL, 0);
}
static int compile_labels(void) {
  return lstm_compile(classes, "{'loss': {'type': 'ctc', 'zero_infinity': true}, 'metrics': 'edit_distance'}");
}

static int predict(void) { return lstm_predict(numbers, &data.x, NULL, (float *)room, sizeof room / 4, NULL); }
static int predict_texts(void) { return lstm_predict(text, &data.text, NULL, (float *)room, sizeof room / 4, NULL); }
static int predict_wrong(void) { return lstm_predict(numbers, &data.y, NULL, (float *)room, sizeof room / 4, NULL); }
static int shape(void) {
  uint32_t rank;
  return lstm_output_shape(text, &data.text, (int64_t *)room, &rank);
}
static int read_parameter(void) { return lstm_get_parameter(numbers, "last.bias", (float *)room, OUTPUTS, NULL); }
static int write_parameter(void) { return lstm_set_parameter(numbers, "last.bias", numbers_x, OUTPUTS); }

static int make_trainer(void) {
  lstm_trainer *made;
  const int code = lstm_trainer_create(numbers, &made);
  if (code == LSTM_OK) lstm_trainer_free(made);
  return code;
}
static int step_trainer(void) { return lstm_trainer_step(trainer, &data.x, &data.y, &data.weights, NULL); }

static int carry(void) { return lstm_trainer_carry(trainer, 1); }
static void want_carrying_trainer(void) {
  want_trainer();
  OK(carry());
}
static int begin_publishing(void) { return lstm_set_publishing(numbers, 1); }
static int end_publishing(void) { return lstm_set_publishing(numbers, 0); }
static int publish(void) { return lstm_publish(numbers, trained); }
static int keep_samples(void) { return lstm_stream_keep(stream, STEPS); }
static int learn_stream(void) { return lstm_trainer_learn(trainer, stream, &one_target, NULL); }

static int weigh_classes(void) { return lstm_trainer_set_class_weights(trainer, numbers_weights, ROWS); }

static int create_pair(void) {
  lstm_model *m;
  return freed(lstm_create(pair_description, allocator, &m), m);
}
static int train_pair(void) { return lstm_train_many(pair, &data.pair, &one_step, &history); }
static int evaluate_pair(void) { return lstm_evaluate_many(pair, &data.pair, NULL, &history); }
static int predict_pair(void) {
  return lstm_predict_many(pair, &data.pair, NULL, (float *)room, sizeof room / 4, NULL);
}
static int step_pair(void) { return lstm_trainer_step_many(trainer, &data.pair, NULL); }

static int make_predictor(void) {
  lstm_predictor *made;
  const int code = lstm_predictor_create(numbers, 2, &made);
  if (code == LSTM_OK) lstm_predictor_free(made);
  return code;
}
static int run_predictor(void) { return lstm_predictor_run(predictor, &data.x, (float *)room, sizeof room / 4, NULL); }

static int make_stream(void) {
  lstm_stream *made;
  const int code = lstm_stream_create(numbers, &made);
  if (code == LSTM_OK) lstm_stream_free(made);
  return code;
}
static int step_stream(void) { return lstm_stream_step(stream, numbers_x, FEATURES, (float *)room, OUTPUTS); }
static int run_stream(void) {
  return lstm_stream_process(stream, STEPS, numbers_x, STEPS * FEATURES, (float *)room, STEPS * OUTPUTS);
}
static int keep_stream(void) {
  size_t count;
  const int code = lstm_stream_get_state(stream, (float *)room, sizeof room / 4, &count);
  return code == LSTM_OK ? lstm_stream_set_state(stream, (float *)room, count) : code;
}

static int step_streams(void) {
  return lstm_streams_step(streams, 2, numbers_x, 2 * FEATURES, (float *)room, 2 * OUTPUTS, 2);
}

static int forecast(void) { return lstm_stream_forecast(stream, STEPS, numbers_x, 2, (float *)room, STEPS * 2); }
static int tokenize(void) { return lstm_tokenize(language, "ab. c", (int32_t *)room, 8, NULL); }
static int detokenize(void) { return lstm_detokenize(language, prompt_tokens, 3, room, sizeof room, NULL); }
static int draw_tokens(void) {
  return lstm_generate(language, &data.prompt, &drawn, (int32_t *)room, sizeof room / 4, NULL, NULL);
}
static int search_tokens(void) {
  return lstm_generate(language, &data.prompt, &searched, (int32_t *)room, sizeof room / 4, NULL, NULL);
}
static int write_tokens(void) {
  return lstm_generate_from(language, &data.source, &data.prompt, &drawn, (int32_t *)room, sizeof room / 4, NULL, NULL);
}
static int search_writing(void) {
  return lstm_generate_from(language, &data.source, &data.prompt, &searched, (int32_t *)room, sizeof room / 4, NULL,
                            NULL);
}
static int make_generator(void) {
  lstm_generator *made;
  const int code = lstm_generator_create(language, &data.prompt, NULL, &made);
  if (code == LSTM_OK) lstm_generator_free(made);
  return code;
}
static int next_token(void) {
  int32_t token;
  return lstm_generator_next(generator, &token, NULL);
}

typedef struct {
  const char *name;
  void (*want)(void);
  int (*run)(void);
  int result; /* when no allocation fails */
  int steps;  /* of training that a failure may leave done: none, one, or several (2) */
} operation;

static const operation operations[] = {
    {"create", nothing, create, LSTM_OK, 0},
    {"create_text", nothing, create_text, LSTM_OK, 0},
    {"create_wrong", nothing, create_wrong, LSTM_ERR_ARG, 0},
    {"create_many", nothing, create_many, LSTM_OK, 0},
    {"load", nothing, load, LSTM_OK, 0},
    {"load_buffer", nothing, load_buffer, LSTM_OK, 0},
    {"load_damaged", nothing, load_damaged, LSTM_ERR_FORMAT, 0},
    {"clone", want_numbers, clone_numbers, LSTM_OK, 0},
    {"clone_text", want_text, clone_text, LSTM_OK, 0},
    {"compress", want_numbers, compress_numbers, LSTM_OK, 0},
    {"compress_text", want_text, compress_text, LSTM_OK, 0},
    {"save_compressed", want_numbers, save_compressed, LSTM_OK, 0},
    {"save", want_numbers, save, LSTM_OK, 0},
    {"save_buffer", want_numbers, save_buffer, LSTM_OK, 0},
    {"describe", want_numbers, describe_numbers, LSTM_OK, 0},
    {"describe_text", want_text, describe_text, LSTM_OK, 0},
    {"summary", want_numbers, summary, LSTM_OK, 0},
    {"adapt", want_numbers, adapt, LSTM_OK, 0},
    {"adapt_text", want_text, adapt_text, LSTM_OK, 0},
    {"compile", want_numbers, compile_numbers, LSTM_OK, 0},
    {"compile_losses", want_numbers, compile_losses, LSTM_OK, 0},
    {"train", want_numbers, train, LSTM_OK, 1},
    {"train_text", want_text, train_texts, LSTM_OK, 1},
    {"train_long", want_numbers, train_long, LSTM_OK, 2},
    {"train_from", want_numbers, train_from, LSTM_OK, 2},
    {"evaluate", want_numbers, evaluate, LSTM_OK, 0},
    {"evaluate_from", want_numbers, evaluate_from, LSTM_OK, 0},
    {"set_learning_rate", want_numbers, rate, LSTM_OK, 0},
    {"evaluate_classes", want_classes, evaluate_classes, LSTM_OK, 0},
    {"confusion_matrix", want_classes, confusion, LSTM_OK, 0},
    {"compile_labels", want_classes, compile_labels, LSTM_OK, 0},
    {"decode", want_classes, decode, LSTM_OK, 0},
    {"ctc_decode", want_numbers, decode_outputs, LSTM_OK, 0},
    {"inspect", want_numbers, inspect, LSTM_OK, 0},
    {"saliency", want_numbers, saliency, LSTM_OK, 0},
    {"saliency_text", want_text, saliency_text, LSTM_OK, 0},
    {"predict", want_numbers, predict, LSTM_OK, 0},
    {"predict_text", want_text, predict_texts, LSTM_OK, 0},
    {"predict_wrong", want_numbers, predict_wrong, LSTM_ERR_ARG, 0},
    {"output_shape", want_text, shape, LSTM_OK, 0},
    {"get_parameter", want_numbers, read_parameter, LSTM_OK, 0},
    {"set_parameter", want_numbers, write_parameter, LSTM_OK, 0},
    {"trainer_create", want_numbers, make_trainer, LSTM_OK, 0},
    {"trainer_step", want_trainer, step_trainer, LSTM_OK, 1},
    {"trainer_carry", want_trainer, carry, LSTM_OK, 0},
    {"trainer_step_carried", want_carrying_trainer, step_trainer, LSTM_OK, 1},
    {"set_publishing", want_numbers, begin_publishing, LSTM_OK, 0},
    {"end_publishing", want_publishing, end_publishing, LSTM_OK, 0},
    {"publish", want_publishing, publish, LSTM_OK, 0},
    {"stream_keep", want_stream, keep_samples, LSTM_OK, 0},
    {"learn", want_learning, learn_stream, LSTM_OK, 1},
    {"create_pair", nothing, create_pair, LSTM_OK, 0},
    {"train_many", want_pair, train_pair, LSTM_OK, 1},
    {"evaluate_many", want_pair, evaluate_pair, LSTM_OK, 0},
    {"predict_many", want_pair, predict_pair, LSTM_OK, 0},
    {"step_many", want_pair_trainer, step_pair, LSTM_OK, 1},
    {"class_weights", want_trainer, weigh_classes, LSTM_OK, 0},
    {"predictor_create", want_numbers, make_predictor, LSTM_OK, 0},
    {"predictor_run", want_predictor, run_predictor, LSTM_OK, 0},
    {"stream_create", want_numbers, make_stream, LSTM_OK, 0},
    {"stream_step", want_stream, step_stream, LSTM_OK, 0},
    {"stream_process", want_stream, run_stream, LSTM_OK, 0},
    {"streams_step", want_streams, step_streams, LSTM_OK, 0},
    {"stream_forecast", want_forecaster, forecast, LSTM_OK, 0},
    {"tokenize", want_language, tokenize, LSTM_OK, 0},
    {"detokenize", want_language, detokenize, LSTM_OK, 0},
    {"generate", want_language, draw_tokens, LSTM_OK, 0},
    {"generate_beams", want_language, search_tokens, LSTM_OK, 0},
    {"generate_from", want_writer, write_tokens, LSTM_OK, 0},
    {"generate_from_beams", want_writer, search_writing, LSTM_OK, 0},
    {"generator_create", want_language, make_generator, LSTM_OK, 0},
    {"generator_next", want_generator, next_token, LSTM_OK, 0},
    {"stream_state", want_stream, keep_stream, LSTM_OK, 0},
};

#endif
