// Compressed weights: how a word of them and a word of factors become terms of a sum. Sums of integers are kept in the
// registers of floats, as bits.

// Rows of words that a matrix of `depth` rows takes.
INLINE size_t rows_of_words(uint32_t format, size_t depth) {
  switch (format) {
  case LSTM_WEIGHTS_FLOAT32:
    return depth;
  case LSTM_WEIGHTS_BFLOAT16:
    return (depth + 1) / 2;
  default:
    return 2 + (depth + 3) / 4;
  }
}

// Into how many parts a word falls, of which each makes one term of a sum.
INLINE int parts_of_word(const int format) {
  return format == LSTM_WEIGHTS_BFLOAT16 || format == LSTM_WEIGHTS_INT8 ? 2 : 1;
}

// Part `part` of words of weights. Of integers the even ones or the odd ones, as 16 bits each.
INLINE vf weights_of(const int format, const int part, vf words) {
  if (format == LSTM_WEIGHTS_BFLOAT16) return (vf)(part ? (vu)words & 0xffff0000 : (vu)words << 16);
  if (format == LSTM_WEIGHTS_INT8) return (vf)((vs)(part ? (vu)words : (vu)words << 8) >> 8);
  return words;
}

// What part `part` of the weights is multiplied with: a number, or bytes like those of weights_of.
INLINE vf factor_of(const int format, const int part, const float *a, ptrdiff_t a_step) {
  if (format == LSTM_WEIGHTS_FLOAT32) return *a;
  if (format == LSTM_WEIGHTS_BFLOAT16) return a[part * a_step];
  const vu bytes = *(const word *)a;
  return (vf)(format == LSTM_WEIGHTS_INT8 ? bytes >> 8 * part & 0x00ff00ff : bytes);
}

#ifndef DOT_PAIRS
#define DOT_PAIRS(a, b) dot_pairs(a, b)

// The sums of the products of neighbours.
INLINE vi dot_pairs(vs a, vs b) { return ((vi)a << 16 >> 16) * ((vi)b << 16 >> 16) + ((vi)a >> 16) * ((vi)b >> 16); }
#endif

// sum + factor * weights.
INLINE vf with_term(const int format, vf factor, vf weights, vf sum) {
  if (format == LSTM_WEIGHTS_INT8) return (vf)((vu)sum + (vu)DOT_PAIRS((vs)weights, (vs)factor));
#ifdef DOT_BYTES
  if (format == LSTM_WEIGHTS_INT8_DOT) {
    DOT_BYTES(sum, factor, weights);
    return sum;
  }
#endif
  return muladd(factor, weights, sum);
}

static void quantize(size_t rows, size_t width, const float *x, ptrdiff_t x_row, float limit, uint8_t *bytes,
                     ptrdiff_t bytes_row, float *scale) {
  for (size_t r = 0; r < rows; r++, x += x_row, bytes += bytes_row) {
    float largest = limit;
    if (limit == 0) {
      // Bits of magnitudes are in the order of the magnitudes, NaN above infinity.
      vi found = 0;
      FOR_VECTORS(i, m, width) {
        const vi bits = (vi)load_first(x + i, m) & 0x7fffffff;
        found = bits > found ? bits : found;
      }
      vf magnitudes = (vf)found;
      for (int l = 0; l < VL; l++) largest = magnitudes[l] <= largest ? largest : magnitudes[l];
      for (int l = 0; l < VL; l++) largest = magnitudes[l] < INFINITY ? largest : NAN;
    }
    const float inverse = largest < 0x1p-100f || largest != largest ? 0 : 127 / largest;
    if (scale) scale[r] = largest < 0x1p-100f ? 0 : largest / 127;
    FOR_VECTORS(i, m, width) {
      const vf near = at_most(127, at_least(-127, load_first(x + i, m) * inverse));
      // Added to 1.5 x 2^23, a number is rounded and stands in the low bits.
      const vb rounded = __builtin_convertvector((vu)(near + (0x1.8p23f + 128)) & 0xff, vb);
      if (m == VL) {
        *(vb_in_memory *)(bytes + i) = rounded;
      } else {
        for (size_t l = 0; l < m; l++) bytes[i + l] = rounded[l];
      }
    }
  }
}
