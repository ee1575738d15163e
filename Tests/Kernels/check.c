// check SET: the kernels of one set against loops in double, without Swift, so that it runs wherever C does. Prints the
// first wrong numbers and a line for each subject; exits with 1 if a number was wrong, with 2 if there is no such set.
#include "check.h"

#include <stdio.h>

int main(int count, char **arguments) {
  static const struct {
    const char *name;
    int (*check)(const lstm_kernel_table *);
  } subjects[] = {{"products", check_products},       {"cells", check_cells},
                  {"split cells", check_split_cells}, {"compressed", check_compressed},
                  {"activations", check_activations}, {"optimizers", check_optimizers}};
  int known, failed = 0;
  const lstm_kernel_table *set = count == 2 ? lstm_kernels_named(arguments[1], &known) : NULL;
  if (!set) return 2;
  for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
    const int wrong = subjects[i].check(set);
    printf("%s %s: %d wrong\n", set->name, subjects[i].name, wrong);
    failed |= wrong > 0;
  }
  return failed;
}
