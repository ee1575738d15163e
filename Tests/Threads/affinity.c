/* Prints how many processors this process may run on. */
#include "shim.h"

#include <stdio.h>

int main(void) {
  printf("affinity=%d\n", shim_affinity());
  return 0;
}
