// Vectors of VL floats, and the few operations on them that the language does not have.

typedef float vf __attribute__((ext_vector_type(VL)));
typedef int32_t vi __attribute__((ext_vector_type(VL)));
typedef uint32_t vu __attribute__((ext_vector_type(VL)));
typedef int16_t vs __attribute__((ext_vector_type(2 * VL)));
typedef uint8_t vb __attribute__((ext_vector_type(VL)));
typedef double vd __attribute__((ext_vector_type(VL)));
typedef vf vf_in_memory __attribute__((aligned(4)));
typedef vb vb_in_memory __attribute__((aligned(1)));
typedef uint32_t word __attribute__((may_alias));

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

// `m` is the number of floats at p + i that belong to the array: VL, or fewer at its end.
#define FOR_VECTORS(i, m, n) for (size_t i = 0, m; i < (n) && (m = (n) - i < VL ? (n) - i : VL); i += VL)

INLINE vf load(const float *p) { return *(const vf_in_memory *)p; }
INLINE void store(float *p, vf v) { *(vf_in_memory *)p = v; }

// All bits set in the first m lanes, none in the others.
INLINE vi first_lanes(size_t m) {
  vi lane;
  UNROLL for (int l = 0; l < VL; l++) lane[l] = l;
  return lane < (vi)(int32_t)m;
}

#ifndef MASKED_LOAD
#define MASKED_LOAD(p, lanes) masked_load(p, lanes)
#define MASKED_STORE(p, lanes, v) masked_store(p, lanes, v)

static __attribute__((noinline)) vf masked_load(const float *p, vi lanes) {
  vf v = 0;
  UNROLL for (int l = 0; l < VL; l++) if (lanes[l]) v[l] = p[l];
  return v;
}

static __attribute__((noinline)) void masked_store(float *p, vi lanes, vf v) {
  UNROLL for (int l = 0; l < VL; l++) if (lanes[l]) p[l] = v[l];
}
#endif

// The first m <= VL floats at p; the other lanes are zero, their memory is not touched.
INLINE vf load_first(const float *p, size_t m) { return m == VL ? load(p) : (vf)MASKED_LOAD(p, first_lanes(m)); }

INLINE void store_first(float *p, size_t m, vf v) {
  if (m == VL) {
    store(p, v);
  } else {
    MASKED_STORE(p, first_lanes(m), v);
  }
}

// v with `rest` in all lanes but the first m.
INLINE vf with_rest(float rest, size_t m, vf v) { return m == VL ? v : first_lanes(m) ? v : (vf)rest; }

// a * b + c, rounded once where the set can.
INLINE vf muladd(vf a, vf b, vf c) {
#if FMA
  return __builtin_elementwise_fma(a, b, c);
#else
  return a * b + c;
#endif
}

// From the first lane to the last.
INLINE float sum_of_lanes(vf v) {
  float sum = 0;
  for (int l = 0; l < VL; l++) sum += v[l];
  return sum;
}

// By address: how a function is given a vector wider than the set's registers would depend on the set.
INLINE double sum_of_doubles(const vd *v) {
  double sum = 0;
  for (int l = 0; l < VL; l++) sum += (*v)[l];
  return sum;
}
