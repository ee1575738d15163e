/* A thousand steps of a stream without one allocation or system call: the kernel kills the process at the first call
 * but exit. Usage: stream_quiet LIBRARY quiet|noisy; "noisy" makes one allocation and one system call, to show that
 * both would be noticed. */
#include <lstm_dl.h>

#include "failing_malloc.h"
#include "support.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STEPS_MADE = 1000 };

static void forbid_system_calls(void) {
  struct sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 0, 1),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)};
  const struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

/* Ends the process with 0 when every step succeeded without an allocation. Printing would be a system call. */
static void step_quietly(lstm_stream *stream, size_t inputs, size_t outputs, int noisy) {
  float x[8] = {0.5f}, y[256];
  int failures = 0;
  forbid_system_calls();
  arm_failures(FROM_MALLOC, 0, 0);
  for (int i = 0; i < STEPS_MADE; i++) {
    x[0] = (float)(i % 7);
    failures += lstm_stream_step(stream, x, inputs, y, outputs) != LSTM_OK;
  }
  failures += lstm_stream_process(stream, 1, x, inputs, y, outputs) != LSTM_OK;
  if (noisy) free(malloc(1));
  const int allocations = count_allocations() != 0;
  if (noisy && allocations) syscall(SYS_getppid);
  syscall(SYS_exit, failures ? 4 : allocations ? 5 : 0);
}

static int run_in_child(const char *description, int noisy) {
  lstm_model *model;
  lstm_stream *stream;
  size_t inputs, outputs;
  int status;
  OK(lstm_create(description, NULL, &model));
  OK(lstm_stream_create(model, &stream));
  OK(lstm_stream_sizes(stream, &inputs, &outputs));
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) step_quietly(stream, inputs, outputs, noisy);
  CHECK(waitpid(child, &status, 0) == child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return printf("quiet\n");
  if (WIFSIGNALED(status)) return printf("killed by %s\n", strsignal(WTERMSIG(status)));
  return printf("%s\n", WEXITSTATUS(status) == 4 ? "a step failed" : "allocated");
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
