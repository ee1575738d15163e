// AArch64: 24 of the 32 registers hold a tile's sums; NEON is part of the base architecture there.
#define VL 4
#define SUMS 24
#define FMA 1
#define SET neon

#include "system.h"

#if defined(__aarch64__)
#include "kernels.inc"
#endif
