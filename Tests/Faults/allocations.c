/* Makes every allocation of each operation fail in turn, each in a process of its own: alone, and with all that follow.
 * Usage: allocations LIBRARY malloc|hook cold|warm [OPERATION], in a folder of its own. "cold": the operation is the
 * first call of its kind in the process; "hook": only allocations through lstm_allocator fail. A line "FINDING ..."
 * tells of each failure that did not become LSTM_ERR_NOMEM, changed the model, leaked, or spoilt a retry. */
#include <lstm_dl.h>

#include "failing_malloc.h"
#include "support.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const path = "faults.safetensors";
static allocation_source source;
static long hook_live;

static void *hook_allocate(size_t size, size_t alignment, void *user) {
  (void)user;
  if (allocation_fails(FROM_HOOK)) return NULL;
  hook_live++;
  return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void hook_deallocate(void *memory, size_t size, void *user) {
  (void)size, (void)user;
  hook_live--;
  free(memory);
}

static const lstm_allocator hook = {sizeof hook, 0, hook_allocate, hook_deallocate, NULL};
static const lstm_allocator *allocator; /* the hook, or NULL for malloc */

#include "operations.h"

/* ---- One failure in one process ---------------------------------------------------------------------------------- */

typedef struct {
  int warm, all;
  long k;
} fault;

/* Written by the children. */
static struct {
  long sites, kept_blocks, absorbed;
} *shared;

static void finding(const operation *o, fault f, const char *text) {
  printf("FINDING %s: allocation %ld%s: %s\n", o->name, f.k, f.all ? " and all after it" : "", text);
  fflush(stdout);
}

static blob state_of_model(void) {
  const lstm_model *model = numbers ? numbers : text ? text : pair ? pair : trained;
  return model ? save_blob(model) : (blob){NULL, 0};
}

static long live_blocks(void) { return count_live_blocks() + hook_live; }

/* How many allocations the operation makes, and how many blocks it rightly keeps (of its first call). */
static void measure(const operation *o) {
  const long live = live_blocks();
  arm_failures(source, 0, 0);
  const int code = o->run();
  disarm_failures();
  shared->sites = count_allocations();
  shared->kept_blocks = live_blocks() - live;
  if (code != o->result) printf("FINDING %s: %d without any failure: %s\n", o->name, code, lstm_last_error());
}

static void check_model(const operation *o, fault f, int succeeded, blob before, blob after_success) {
  const blob now = state_of_model();
  const int unchanged = equal_blobs(now, before), changed_rightly = equal_blobs(now, after_success);
  if (o->steps < 2 && !(succeeded ? changed_rightly : unchanged || (o->steps == 1 && changed_rightly)))
    finding(o, f, succeeded ? "the model is not as it should be" : "the model changed");
  free(now.bytes);
}

static void inject(const operation *o, fault f, blob after_success) {
  const blob before = state_of_model();
  const long live = live_blocks();
  char text[300];
  arm_failures(source, f.k, f.all);
  const int code = o->run();
  if (disarm_failures() == 0) return finding(o, f, "did not come about");
  const long kept = live_blocks() - live;
  if (code == o->result)
    shared->absorbed++;
  else if (code != LSTM_ERR_NOMEM)
    snprintf(text, sizeof text, "gave %d: %.200s", code, lstm_last_error()), finding(o, f, text);
  else if (!*lstm_last_error())
    finding(o, f, "gave no text");
  if (kept < 0 || kept > (shared->kept_blocks > 0 ? shared->kept_blocks : 0))
    snprintf(text, sizeof text, "%ld blocks are left over", kept), finding(o, f, text);
  check_model(o, f, code == LSTM_OK, before, after_success);
  if (o->run() != o->result) finding(o, f, lstm_last_error());
  if (live_blocks() - live != shared->kept_blocks) finding(o, f, "a retry did not balance the blocks");
}

static void in_child(const operation *o, fault f, void (*act)(const operation *, fault)) {
  int status;
  char text[80];
  fflush(stdout);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(20);
    act(o, f);
    fflush(stdout);
    _exit(0);
  }
  CHECK(waitpid(child, &status, 0) == child);
  if (WIFSIGNALED(status))
    snprintf(text, sizeof text, "killed by %s", strsignal(WTERMSIG(status))), finding(o, f, text);
  else if (WEXITSTATUS(status))
    finding(o, f, "left the process");
}

static void prepare(const operation *o, fault f) {
  if (!f.warm) o->want();
}

static void measure_in_child(const operation *o, fault f) {
  prepare(o, f);
  measure(o);
}

static blob expected_after; /* of the model, when the operation succeeds; shared between processes */
static void succeed_in_child(const operation *o, fault f) {
  prepare(o, f);
  o->run();
  const blob after = state_of_model();
  CHECK(after.count <= sizeof room);
  memcpy(expected_after.bytes, after.bytes, after.count);
  *(size_t *)(expected_after.bytes + sizeof room) = after.count;
}

static void inject_in_child(const operation *o, fault f) {
  prepare(o, f);
  inject(o, f, expected_after);
}

/* All of up to a thousand; of more, the last thirty and every 41st before. */
static long next_site(long k, long sites) { return sites < 1000 || k > sites - 30 ? k + 1 : k + 41; }

static void fail_each(const operation *o, int warm) {
  shared->absorbed = 0;
  if (warm) {
    o->want();
    o->run();
  }
  in_child(o, (fault){warm, 0, 0}, measure_in_child);
  in_child(o, (fault){warm, 0, 0}, succeed_in_child);
  expected_after.count = *(size_t *)(expected_after.bytes + sizeof room);
  long injected = 0;
  for (int all = 0; all <= 1; all++)
    for (long k = 1; k <= shared->sites; k = next_site(k, shared->sites), injected++)
      in_child(o, (fault){warm, all, k}, inject_in_child);
  printf("%s=%ld injected=%ld absorbed=%ld\n", o->name, shared->sites, injected, shared->absorbed);
}

static void *shared_memory(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  return memory;
}

static void write_model_file(const operation *o, fault f) {
  (void)o, (void)f;
  make_data();
  OK(lstm_save(make_text(NULL), path, 0));
}

static void read_model_file(void) {
  FILE *opened = fopen(path, "rb");
  file.bytes = malloc(sizeof room);
  CHECK(opened && file.bytes);
  file.count = fread(file.bytes, 1, sizeof room, opened);
  fclose(opened);
}

int main(int count, char **arguments) {
  if (count < 4) return 2;
  open_library(arguments[1]);
  source = strcmp(arguments[2], "hook") == 0 ? FROM_HOOK : FROM_MALLOC;
  allocator = source == FROM_HOOK ? &hook : NULL;
  shared = shared_memory(sizeof *shared);
  expected_after.bytes = shared_memory(sizeof room + sizeof(size_t));
  in_child(&operations[0], (fault){0, 0, 0}, write_model_file);
  read_model_file();
  describe_many_layers();
  for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
    const operation *o = &operations[i];
    if (count > 4 && strcmp(arguments[4], o->name) != 0) continue;
    /* A process for each operation: what one left behind is not there for the next. */
    fflush(stdout);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      fail_each(o, strcmp(arguments[3], "warm") == 0);
      fflush(stdout);
      _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    if (status != 0) printf("FINDING %s: the process of the operation ended\n", o->name);
  }
  return 0;
}
