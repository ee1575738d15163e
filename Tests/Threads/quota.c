/* Prints how many processors the cgroups below the folder that it is given leave, and what this process may use. */
#include "shim.h"

#include <stdio.h>
#include <unistd.h>

int main(int count, char **arguments) {
  if (count != 2) return 2;
  const int before = dup(0);
  close(before);
  const int quota = shim_quota(arguments[1]), processors = shim_processors();
  printf("quota=%d processors=%d affinity=%d leaks=%d\n", quota, processors, shim_affinity(), dup(0) - before);
  return 0;
}
