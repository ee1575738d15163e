#include "shim.h"

// From `start` on, until the next run of its block, characters are of this kind.
typedef struct {
  uint8_t start, kind;
} kind_run;

// Upper-case letters, `step` apart; their lower case stands `difference` further on.
typedef struct {
  uint32_t first;
  uint32_t last : 24, step : 8;
  int32_t difference;
} lower_range;

// Characters stand in blocks of 256; `blocks` says which one it is, as many are alike, and the runs of block b are those
// from first_runs[b] to first_runs[b + 1]. From GAP_START to GAP_END and after the last block there are signs alone, which
// `blocks` leaves out.
#include "unicode_tables.inc"

int shim_character_kind(uint32_t code) {
  if (code >= GAP_START) {
    if (code < GAP_END) return SHIM_SIGN;
    code -= GAP_END - GAP_START;
  }
  if (code / 256 >= sizeof blocks) return SHIM_SIGN;
  uint32_t block = blocks[code / 256], run = first_runs[block], end = first_runs[block + 1];
  while (end - run > 1) {
    uint32_t middle = (run + end) / 2;
    if (runs[middle].start <= code % 256)
      run = middle;
    else
      end = middle;
  }
  return runs[run].kind;
}

uint32_t shim_lower_case(uint32_t code) {
  uint32_t i = 0, end = sizeof lower_ranges / sizeof *lower_ranges;
  while (i < end) {
    uint32_t middle = (i + end) / 2;
    if (lower_ranges[middle].last < code)
      i = middle + 1;
    else
      end = middle;
  }
  if (i == sizeof lower_ranges / sizeof *lower_ranges) return code;
  lower_range range = lower_ranges[i];
  if (code < range.first || (code - range.first) % range.step != 0) return code;
  return code + (uint32_t)range.difference;
}
