/* The malloc family of the program and of every library it loads: counted, and made to fail on demand. */
#ifndef FAILING_MALLOC_H
#define FAILING_MALLOC_H

#include <stddef.h>

/* Which allocations are counted and fail: those of the malloc family, or those that ask allocation_fails themselves. */
typedef enum { FROM_MALLOC, FROM_HOOK } allocation_source;

/* The k-th allocation of this thread from now on fails (k from 1), and with `all` every one after it. */
void arm_failures(allocation_source source, long k, int all);

/* Ends that; how many allocations were made to fail. */
long disarm_failures(void);

/* Counts an allocation, and says whether it has to fail. */
int allocation_fails(allocation_source source);

/* Allocations tried by this thread since arm_failures. */
long count_allocations(void);

/* Allocations of the whole process that succeeded, since its start. */
long count_all_allocations(void);

/* Blocks of the whole process that are not freed. */
long count_live_blocks(void);

#endif
