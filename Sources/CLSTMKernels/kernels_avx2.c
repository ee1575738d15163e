// x86-64 with AVX2 and FMA: 12 of the 16 registers hold a tile's sums, 3 its rows of A, 1 a vector of B.
#define VL 8
#define SUMS 12
#define FMA 1
#define SET avx2
#define MASKED_LOAD(p, lanes) _mm256_maskload_ps(p, (__m256i)(lanes))
#define MASKED_STORE(p, lanes, v) _mm256_maskstore_ps(p, (__m256i)(lanes), v)
#define DOT_PAIRS(a, b) _mm256_madd_epi16((__m256i)(a), (__m256i)(b))

#include "system.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

#include "kernels.inc"

#pragma clang attribute pop
#endif
