// What the kernels need of the system. An instruction set's file includes it before it turns the set on, so that no
// function of a system header is compiled for it.
#include "tables.h"

#include <math.h>
#include <string.h>
