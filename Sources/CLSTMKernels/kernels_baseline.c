// What every processor can run: four lanes, multiply and add apart, for fmaf would be a call.
#define VL 4
#define TILE 2
#define FMA 0
#define SET baseline

#include "kernels.inc"
