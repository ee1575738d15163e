/* Steps that must not allocate and not call the system: the kernel kills a process that calls it all the same. */
#ifndef QUIET_H
#define QUIET_H

#include "failing_malloc.h"
#include "support.h"

#include <dirent.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALLOW_IF(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* Whether no thread but the caller's is at work. */
static int others_sleep(void) {
  DIR *tasks = opendir("/proc/self/task");
  int sleep = 1;
  CHECK(tasks != NULL);
  for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
    char path[300], state = 'S';
    const long number = atol(task->d_name);
    if (number == 0 || number == getpid()) continue;
    snprintf(path, sizeof path, "/proc/self/task/%ld/stat", number);
    FILE *stat = fopen(path, "r");
    CHECK(stat != NULL && fscanf(stat, "%*d %*s %c", &state) == 1);
    fclose(stat);
    sleep = sleep && state == 'S';
  }
  closedir(tasks);
  return sleep;
}

/* From now on no thread of the process may call the system but to end the process. With `threads`, they may also wait
 * for and wake one another, and one may leave the processor of the other; the clock and the question for the processor
 * are calls on some machines only. */
static void forbid_system_calls(int threads) {
  /* A thread begins with calls of its own, perhaps long after it was made. */
  for (int tries = 0; !others_sleep(); tries++) CHECK(tries < 10000 && usleep(1000) == 0);
  struct sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                 ALLOW_IF(SYS_exit_group),
                                 ALLOW_IF(threads ? SYS_futex : SYS_exit_group),
                                 ALLOW_IF(threads ? SYS_clock_gettime : SYS_exit_group),
                                 ALLOW_IF(threads ? SYS_getcpu : SYS_exit_group),
                                 ALLOW_IF(threads ? SYS_sched_setaffinity : SYS_exit_group),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)};
  const struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0);
}

enum { QUIET = 0, FAILED = 4, ALLOCATED = 5 };

/* Ends the process with what it found; printing would be a system call. `noisy`: an allocation and a system call are
 * made first, to show that both would be noticed. */
static void end_quietly(int failures, long allocations_before, int noisy) {
  if (noisy) free(malloc(1));
  const int allocated = count_all_allocations() != allocations_before;
  if (noisy && allocated) syscall(SYS_getppid);
  syscall(SYS_exit_group, failures ? FAILED : allocated ? ALLOCATED : QUIET);
}

/* Prints how the child ended. */
static void report_child(pid_t child, const char *what) {
  int status;
  CHECK(waitpid(child, &status, 0) == child);
  if (WIFSIGNALED(status))
    printf("%s: killed by %s\n", what, strsignal(WTERMSIG(status)));
  else
    printf("%s: %s\n", what,
           WEXITSTATUS(status) == QUIET       ? "quiet"
           : WEXITSTATUS(status) == FAILED    ? "a step failed"
           : WEXITSTATUS(status) == ALLOCATED ? "allocated"
                                              : "could not begin");
  fflush(stdout);
}

#endif
