/* Saves over an existing file while the system calls of lstm_save fail, are cut short, or end in SIGKILL. At any moment
 * the file must be the old one or the new one, whole. Usage: save_faults LIBRARY fail|partial|kill|random, in a folder
 * of its own. The functions of libc that follow stand before libc's own for the library too. */
#define _GNU_SOURCE
#include <lstm_dl.h>

#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef enum { OPEN, WRITE, FSYNC, FCHMOD, CLOSE, RENAME, OPERATIONS } operation;
typedef enum { NO_FAULT, FAIL_CALL, KILL_BEFORE, KILL_AFTER, SHORTEN, INTERRUPT } fault_mode;

static const char *const names[OPERATIONS] = {"open", "write", "fsync", "fchmod", "close", "rename"};
static const char *const path = "model.safetensors";
static struct {
  fault_mode mode;
  operation operation;
  long k;
  int error;
} fault;
static long seen[OPERATIONS], fired;

static int is_due(operation operation) {
  const long number = ++seen[operation];
  if (fault.mode == NO_FAULT || fault.operation != operation) return 0;
  if (fault.mode == SHORTEN || fault.mode == INTERRUPT) return number % 2;
  return number == fault.k;
}

/* Stands around each real call: whether it is to be left out and fail instead. */
static int fails(operation operation) {
  if (!is_due(operation)) return 0;
  fired++;
  if (fault.mode == KILL_BEFORE) raise(SIGKILL);
  if (fault.mode == FAIL_CALL || fault.mode == INTERRUPT) errno = fault.error;
  return fault.mode == FAIL_CALL || fault.mode == INTERRUPT;
}

static void finished(operation operation) {
  if (fault.mode == KILL_AFTER && fault.operation == operation && seen[operation] == fault.k) raise(SIGKILL);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define CALL(operation, call)                                                                                          \
  ({                                                                                                                   \
    long result = -1;                                                                                                  \
    if (!fails(operation)) {                                                                                           \
      result = (call);                                                                                                 \
      finished(operation);                                                                                             \
    }                                                                                                                  \
    result;                                                                                                            \
  })

int open(const char *name, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
  va_end(list);
  return (int)CALL(OPEN, REAL(open)(name, flags, mode));
}
int open64(const char *name, int flags, ...) __attribute__((alias("open")));
ssize_t write(int file, const void *bytes, size_t size) {
  const int shortened = fault.mode == SHORTEN && size > 1;
  return CALL(WRITE, REAL(write)(file, bytes, shortened ? size / 2 : size));
}
int fsync(int file) { return (int)CALL(FSYNC, REAL(fsync)(file)); }
int fdatasync(int file) { return (int)CALL(FSYNC, REAL(fdatasync)(file)); }
int fchmod(int file, mode_t mode) { return (int)CALL(FCHMOD, REAL(fchmod)(file, mode)); }
int rename(const char *from, const char *to) { return (int)CALL(RENAME, REAL(rename)(from, to)); }
int close(int file) {
  const long result = CALL(CLOSE, REAL(close)(file));
  if (result != 0 && fault.mode == FAIL_CALL)
    REAL(close)(file), errno = fault.error; /* as Linux: closed all the same */
  return (int)result;
}

static void write_file(blob content) {
  FILE *file = fopen(path, "wb");
  CHECK(file && fwrite(content.bytes, 1, content.count, file) == content.count && fclose(file) == 0);
}

static int is_file(blob expected) {
  const blob now = read_file(path);
  const int same = equal_blobs(now, expected);
  free(now.bytes);
  return same;
}

/* Counts, and with `clean` removes, the files beside the model. */
static int others(int clean) {
  DIR *folder = opendir(".");
  int count = 0;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    if (entry->d_name[0] == '.' || strcmp(entry->d_name, path) == 0) continue;
    count++;
    if (clean) unlink(entry->d_name);
  }
  closedir(folder);
  return count;
}

static lstm_model *old_model, *new_model;
static blob old_bytes, new_bytes;

static void make_models(void) {
  make_data();
  OK(lstm_create("{'input_shape': [null, 3], 'layers': [{'type': 'lstm', 'units': 200}, {'type': 'dense', 'units': 2}],"
                 " 'training': {'loss': 'mse', 'optimizer': 'adam'}}",
                 NULL, &old_model));
  OK(lstm_clone(old_model, &new_model));
  train_numbers(new_model, 1);
  old_bytes = save_blob(old_model);
  new_bytes = save_blob(new_model);
}

/* Every call of every kind fails once. A flush of the folder after the rename may fail: the new file is there. */
static void fail_each(int error, const char *name, const char *reason) {
  for (fault.operation = OPEN; fault.operation < OPERATIONS; fault.operation++) {
    long failures = 0;
    for (fault.k = 1;; fault.k++) {
      write_file(old_bytes);
      memset(seen, 0, sizeof seen), fired = 0;
      fault.mode = FAIL_CALL, fault.error = error;
      const int code = lstm_save(new_model, path, 0);
      fault.mode = NO_FAULT;
      if (!fired) break;
      CHECK(others(0) == 0);
      if (code == LSTM_OK) {
        CHECK(is_file(new_bytes));
        continue;
      }
      failures++;
      CHECK(code == LSTM_ERR_IO && is_file(old_bytes));
      CHECK(strstr(lstm_last_error(), path) && strstr(lstm_last_error(), reason));
    }
    printf("%s_%s=%ld\n", names[fault.operation], name, failures);
    CHECK(failures > 0);
  }
}

/* Short writes and interrupted ones are no errors. */
static void write_partially(fault_mode mode) {
  write_file(old_bytes);
  memset(seen, 0, sizeof seen), fired = 0;
  fault.mode = mode, fault.operation = WRITE, fault.error = EINTR;
  OK(lstm_save(new_model, path, 0));
  fault.mode = NO_FAULT;
  CHECK(fired > 0 && is_file(new_bytes) && others(0) == 0);
}

static void check_whole(void) {
  lstm_model *model;
  CHECK(is_file(old_bytes) || is_file(new_bytes));
  OK(lstm_load(path, NULL, &model));
  lstm_free(model);
  others(1); /* the temporary file of a killed process cannot be cleared by that process */
}

static int save_and_die(fault_mode mode, operation operation, long k) {
  int status;
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    memset(seen, 0, sizeof seen);
    fault.mode = mode, fault.operation = operation, fault.k = k;
    if (lstm_save(new_model, path, 0) != LSTM_OK) _exit(1);
    _exit(0);
  }
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
  return WIFSIGNALED(status);
}

static void kill_at_each_call(void) {
  long kills = 0;
  for (fault_mode mode = KILL_BEFORE; mode <= KILL_AFTER; mode++)
    for (operation operation = OPEN; operation < OPERATIONS; operation++)
      for (long k = 1;; k++) {
        write_file(old_bytes);
        if (!save_and_die(mode, operation, k)) break;
        kills++;
        check_whole();
      }
  printf("kills=%ld\n", kills);
}

static long microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void kill_at_random_moments(int times) {
  long old_files = 0;
  const long begin = microseconds();
  OK(lstm_save(new_model, path, 0));
  const long save_time = microseconds() - begin;
  for (int i = 0; i < times; i++) {
    write_file(old_bytes);
    const pid_t child = fork();
    CHECK(child >= 0);
    for (int n = 0; child == 0; n++) {
      if (lstm_save(n % 2 ? old_model : new_model, path, 0) != LSTM_OK) _exit(1);
    }
    usleep((unsigned)(random_number() % (uint64_t)(4 * save_time)));
    kill(child, SIGKILL);
    CHECK(waitpid(child, NULL, 0) == child);
    old_files += is_file(old_bytes);
    check_whole();
  }
  printf("old_files=%ld\nnew_files=%ld\n", old_files, times - old_files);
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  open_library(arguments[1]);
  make_models();
  if (strcmp(arguments[2], "fail") == 0) {
    fail_each(EIO, "eio", "input or output error");
    fail_each(ENOSPC, "enospc", "no space left");
  }
  if (strcmp(arguments[2], "partial") == 0) write_partially(SHORTEN), write_partially(INTERRUPT);
  if (strcmp(arguments[2], "kill") == 0) kill_at_each_call();
  if (strcmp(arguments[2], "random") == 0) kill_at_random_moments(100);
  return 0;
}
