// What every processor can run: four lanes, multiply and add apart, for fmaf would be a call. 8 of 16 registers hold a
// tile's sums; with more, the products find no room.
#define VL 4
#define SUMS 8
#define FMA 0
#define SET baseline

#include "system.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#define DOT_PAIRS(a, b) _mm_madd_epi16((__m128i)(a), (__m128i)(b))
#endif

#include "kernels.inc"
