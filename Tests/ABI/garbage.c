/* Calls every function of lstm.h with garbage in each argument in turn and in random combinations, each call in a
 * process of its own. Usage: garbage LIBRARY COMBINATIONS SECONDS [FUNCTION]; prints a line "FINDING ..." for each rule
 * broken.
 *
 * Rules: no call dies or hangs; an error has a text of its own; outputs are untouched after an error, inputs always; a
 * model is unchanged after an error; NULL for a required pointer is LSTM_ERR_ARG and the text names the argument. */
#include <lstm_dl.h>

#include "support.h"

#include <ffi.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "garbage_kinds.h"

typedef enum { RETURNS_NOTHING, RETURNS_INT, RETURNS_TEXT } result_kind;

typedef struct {
  const char *name;
  kind kind;
  int required, constant;
  int room; /* the number of the argument that says how much may be written, or 0 */
} argument;

typedef struct {
  const char *name;
  result_kind result;
  int count;
  argument arguments[MAX_ARGUMENTS];
} signature;

/* From the parsed header: `signatures`, function_address(index), good_argument(index, argument, slot, block). */
#include "garbage_signatures.inc"

static unsigned char blocks[MAX_ARGUMENTS][BLOCK], before[MAX_ARGUMENTS][BLOCK];
static slot slots[MAX_ARGUMENTS];
static int variants[MAX_ARGUMENTS]; /* of each argument of the call, -1 for the good one */
static long calls;
static unsigned timeout_seconds;

static void finding(const signature *f, const char *text) {
  printf("FINDING %s(", f->name);
  for (int i = 0; i < f->count; i++) {
    printf("%s%s=", i ? ", " : "", f->arguments[i].name);
    if (variants[i] < 0)
      printf("good");
    else
      printf("#%d", variants[i]);
  }
  printf("): %s\n", text);
  fflush(stdout);
}

static int invoke(const signature *f, int index, slot *result) {
  ffi_type *types[MAX_ARGUMENTS], *const returns[] = {&ffi_type_void, &ffi_type_sint32, &ffi_type_pointer};
  void *values[MAX_ARGUMENTS];
  ffi_cif cif;
  for (int i = 0; i < f->count; i++) {
    const kind kind = f->arguments[i].kind;
    types[i] = (kind == SIZE || kind == DATA_SIZE) ? &ffi_type_uint64
               : kind == U32                       ? &ffi_type_uint32
               : kind == INTEGER                   ? &ffi_type_sint32
               : kind == REAL                      ? &ffi_type_double
                                                   : &ffi_type_pointer;
    values[i] = &slots[i];
  }
  if (ffi_prep_cif(&cif, FFI_DEFAULT_ABI, (unsigned)f->count, returns[f->result], types) != FFI_OK) return 0;
  ffi_arg raw = 0;
  ffi_call(&cif, FFI_FN(function_address(index)), &raw, values);
  result->size = raw;
  return 1;
}

/* An error may set *count only to tell that the capacity was too small. */
static int count_is_in_order(const signature *f, int i) {
  const size_t now = *(size_t *)blocks[i];
  return i > 0 && f->arguments[i - 1].kind == SIZE && now > slots[i - 1].size &&
         memcmp(blocks[i] + 8, before[i] + 8, BLOCK - 8) == 0;
}

static void check_blocks(const signature *f, int failed) {
  for (int i = 0; i < f->count; i++) {
    const argument *a = &f->arguments[i];
    if (is_number(a->kind) || !(failed || a->constant) || memcmp(blocks[i], before[i], BLOCK) == 0) continue;
    if (a->kind == OUT_COUNT && count_is_in_order(f, i)) continue;
    char text[200];
    snprintf(text, sizeof text, "%s was changed%s", a->name, failed ? " by a call that failed" : " though const");
    finding(f, text);
  }
}

static void check_error_text(const signature *f, int code) {
  const char *text = lstm_last_error();
  if (!text || !*text) return finding(f, "an error without a text");
  if (strlen(text) > 511) finding(f, "an error text over 511 bytes");
  if (strchr(text, '\n') || strstr(text, "(cannot print value")) finding(f, text);
  if (code == LSTM_ERR_INTERNAL || code < LSTM_ERR_SOURCE) finding(f, text);
}

static int names_argument(const char *text, const char *name) {
  const size_t length = strlen(name);
  for (const char *at = strstr(text, name); at; at = strstr(at + 1, name)) {
    const char after = at[length];
    const int starts = at == text || (at[-1] != '_' && !(at[-1] >= 'a' && at[-1] <= 'z'));
    if (starts && after != '_' && !(after >= 'a' && after <= 'z')) return 1;
  }
  return 0;
}

static void check_nulls(const signature *f, int code) {
  char text[700];
  int bad = 0, null = -1;
  for (int i = 0; i < f->count; i++) {
    bad += variants[i] >= 0;
    const int room = f->arguments[i].room;
    if (room && slots[room].size == 0) continue; /* a buffer without room may be NULL */
    if (!is_number(f->arguments[i].kind) && !slots[i].pointer && f->arguments[i].required) null = i;
  }
  if (null < 0 || f->result != RETURNS_INT) return;
  snprintf(text, sizeof text, "NULL for %s gave %d: %s", f->arguments[null].name, code, lstm_last_error());
  if (code >= 0)
    finding(f, text);
  else if (bad == 1 && (code != LSTM_ERR_ARG || !names_argument(lstm_last_error(), f->arguments[null].name)))
    finding(f, text);
}

static void check_model(const signature *f) {
  const blob now = save_blob(world.model);
  if (!equal_blobs(now, world.saved)) finding(f, "the model changed though the call failed");
}

static void check_result(const signature *f, slot result) {
  if (f->result == RETURNS_TEXT && (!result.pointer || strlen(result.pointer) > 4096)) finding(f, "no text");
  if (f->result != RETURNS_INT) return check_blocks(f, 0);
  const int code = result.integer, failed = code < 0;
  int bad = 0;
  for (int i = 0; i < f->count; i++) bad += variants[i] >= 0;
  if (code > LSTM_STOPPED) finding(f, "an unknown positive code");
  if (!bad && code != LSTM_OK) finding(f, lstm_last_error());
  check_blocks(f, failed);
  check_nulls(f, code);
  if (failed) check_error_text(f, code), check_model(f);
}

/* One call in a child. The arguments are made by the child, so that nothing of a call outlives it. */
static void call(int index) {
  const signature *f = &signatures[index];
  int status = 0;
  calls++;
  fflush(stdout);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    slot result = {0};
    alarm(timeout_seconds);
    for (int i = 0; i < f->count; i++) {
      memset(blocks[i], 0xA5, BLOCK);
      good_argument(index, i, &slots[i], blocks[i]);
      if (variants[i] >= 0) bad_argument(f->arguments[i].kind, variants[i], &slots[i], blocks[i]);
      memcpy(before[i], blocks[i], BLOCK);
    }
    if (!invoke(f, index, &result))
      finding(f, "libffi refused the signature");
    else
      check_result(f, result);
    fflush(stdout);
    _exit(0);
  }
  CHECK(waitpid(child, &status, 0) == child);
  if (WIFSIGNALED(status))
    finding(f, WTERMSIG(status) == SIGALRM ? "HUNG" : strsignal(WTERMSIG(status)));
  else if (WEXITSTATUS(status) != 0)
    finding(f, "left the process");
}

static void all_good(const signature *f) {
  for (int i = 0; i < f->count; i++) variants[i] = -1;
}

/* Where all data are read one after the other, extents without end over strides of zero are the caller's wish. */
static int endless(const signature *f, int i, int v) {
  return f->arguments[i].kind == ARRAY && v >= STRUCT_VARIANTS + ARRAY_FIELDS &&
         (strcmp(f->name, "lstm_adapt") == 0 || strcmp(f->arguments[i].name, "prompt") == 0);
}

static void call_each_argument(int index) {
  const signature *f = &signatures[index];
  all_good(f);
  call(index);
  for (int i = 0; i < f->count; i++) {
    all_good(f);
    for (variants[i] = 0; variants[i] < count_variants(f->arguments[i].kind); variants[i]++)
      if (!endless(f, i, variants[i])) call(index);
  }
}

/* Combinations leave out huge extents, and texts of a million tokens, which a huge capacity beside them would make a lie
 * about memory. */
static void call_combinations(int index, int combinations) {
  const signature *f = &signatures[index];
  for (int n = 0; f->count > 1 && n < combinations; n++) {
    for (int i = 0; i < f->count; i++) {
      int limit = count_variants(f->arguments[i].kind);
      if (f->arguments[i].kind == ARRAY) limit = STRUCT_VARIANTS + ARRAY_FIELDS;
      if (f->arguments[i].kind == TEXT && strcmp(f->name, "lstm_tokenize") == 0) limit -= LONG_TEXTS;
      variants[i] = random_number() % 2 ? -1 : (int)(random_number() % (uint64_t)limit);
    }
    call(index);
  }
}

static void *plain_allocate(size_t size, size_t alignment, void *user) {
  return (void)user, aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}
static void plain_deallocate(void *memory, size_t size, void *user) { (void)size, (void)user, free(memory); }

static void make_world(void) {
  lstm_model *model;
  lstm_trainer *trainer;
  lstm_predictor *predictor;
  lstm_stream *stream;
  lstm_generator *generator;
  make_data();
  world.model = make_numbers(NULL);
  world.trained = make_numbers(NULL);
  world.classes = make_classes(NULL);
  world.language = make_language(NULL);
  world.writer = make_writer(NULL);
  world.generate_options = generate_options(2, 5), world.generator_options = generate_options(1, 5);
  OK(lstm_trainer_create(world.trained, &world.trainer));
  OK(lstm_trainer_carry(world.trainer, 1));
  OK(lstm_trainer_step(world.trainer, &data.x, &data.y, NULL, NULL));
  OK(lstm_predictor_create(world.model, 2, &world.predictor));
  OK(lstm_stream_create(world.model, &world.stream));
  for (int i = 0; i < 2; i++) OK(lstm_stream_create(world.model, &world.streams[i]));
  OK(lstm_clone(world.model, &world.published));
  OK(lstm_set_publishing(world.published, 1));
  model = make_forecaster(NULL);
  OK(lstm_stream_create(model, &world.forecaster));
  OK(lstm_stream_keep(world.forecaster, 4));
  for (int i = 0; i < 4; i++) OK(lstm_stream_step(world.forecaster, numbers_x, 2, world.state, 2));
  OK(lstm_compile(model, "{'loss': 'mse'}"));
  OK(lstm_trainer_create(model, &world.forecasting));
  world.next = array_of(LSTM_FLOAT32, numbers_x, 3, 1, 4, 2);
  OK(lstm_generator_create(world.language, &data.prompt, NULL, &world.generator));
  OK(lstm_generator_create(world.language, &data.prompt, NULL, &generator));
  OK(lstm_clone(world.model, &model));
  OK(lstm_stream_create(model, &stream));
  OK(lstm_predictor_create(model, 2, &predictor));
  OK(lstm_trainer_create(model, &trainer));
  world.freed[0] = model, world.freed[1] = trainer, world.freed[2] = stream, world.freed[3] = predictor;
  world.freed[4] = generator, lstm_generator_free(generator);
  lstm_predictor_free(predictor), lstm_stream_free(stream), lstm_trainer_free(trainer), lstm_free(model);
  world.options = options_with(1, 4);
  world.allocator = (lstm_allocator){sizeof world.allocator, 0, plain_allocate, plain_deallocate, NULL};
  world.saved = save_blob(world.model);
  CHECK(world.saved.count <= BLOCK);
  OK(lstm_get_parameter(world.model, "last.bias", world.parameter, OUTPUTS, &world.parameter_count));
  OK(lstm_stream_get_state(world.stream, world.state, LENGTH(world.state), &world.state_count));
  OK(lstm_save(world.model, "good.safetensors", 0));
  for (int i = 0; i < LENGTH(not_numbers); i++) not_numbers[i] = 0.0 / 0.0;
}

int main(int count, char **arguments) {
  if (count < 4) return 2;
  timeout_seconds = (unsigned)atoi(arguments[3]);
  open_library(arguments[1]);
  make_world();
  for (int index = 0; index < LENGTH(signatures); index++) {
    if (count > 4 && strcmp(arguments[4], signatures[index].name) != 0) continue;
    call_each_argument(index);
    call_combinations(index, atoi(arguments[2]));
  }
  printf("calls=%ld\n", calls);
  return 0;
}
