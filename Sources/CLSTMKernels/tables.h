// The tables that dispatch.c chooses from. Each is defined by the file of its name, through kernels.inc.
#ifndef LSTM_TABLES_H
#define LSTM_TABLES_H

#include "include/lstm_kernels.h"

#define LSTM_HIDDEN __attribute__((visibility("hidden")))

extern LSTM_HIDDEN const lstm_kernel_table lstm_kernels_baseline;
#if defined(__x86_64__)
extern LSTM_HIDDEN const lstm_kernel_table lstm_kernels_avx2;
extern LSTM_HIDDEN const lstm_kernel_table lstm_kernels_avx512;
#elif defined(__aarch64__)
extern LSTM_HIDDEN const lstm_kernel_table lstm_kernels_neon;
#endif

#endif
