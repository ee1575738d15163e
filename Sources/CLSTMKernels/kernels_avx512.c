// x86-64 with AVX-512: 24 of the 32 registers hold a tile's sums.
#define VL 16
#define SUMS 24
#define FMA 1
#define SET avx512
#define MASKED_LOAD(p, lanes) _mm512_maskz_loadu_ps(_mm512_movepi32_mask((__m512i)(lanes)), p)
#define MASKED_STORE(p, lanes, v) _mm512_mask_storeu_ps(p, _mm512_movepi32_mask((__m512i)(lanes)), v)
#define DOT_PAIRS(a, b) _mm512_madd_epi16((__m512i)(a), (__m512i)(b))
#define DOT_BYTES(sum, a, b) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b))

#include "system.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"))),                   \
                             apply_to = function)

#include "kernels.inc"

#pragma clang attribute pop
#endif
