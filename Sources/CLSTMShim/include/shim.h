// What Swift cannot say: thread-local text, errno, handles that survive misuse, files, threads, and memory that may run
// out; and tables of characters, as Swift's own are ten times as large.
// Nothing here knows a tensor, a layer or a model. All symbols are hidden.
#ifndef LSTM_SHIM_H
#define LSTM_SHIM_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

// The text of the last error on this thread: a buffer of SHIM_ERROR_SIZE bytes that always ends with a zero byte.
enum { SHIM_ERROR_SIZE = 512 };
char *shim_error_text(void);

// Memory of a size that a user decides: aligned to 64 bytes; NULL when there is none.
void *shim_allocate(size_t size);
void shim_deallocate(void *memory);

// The reserve (see Memory in LSTMTensors): blocks set aside for Swift's own objects, which trap when malloc fails.
// Open returns 0, or -1 when there is not even memory for the reserve. Opens nest: only the outermost open and close
// count. A supply is a reserve that an object keeps, so that a call on it need not fill and empty one. `used` tells whether an allocation has failed since. Add sets one block of `size` bytes aside: 0, or -1.
typedef struct shim_supply shim_supply;
shim_supply *shim_supply_new(void); // NULL: no memory
void shim_supply_free(shim_supply *supply);
int shim_reserve_open(shim_supply *lender); // NULL: from malloc
void shim_reserve_close(void);
int shim_reserve_used(void);
int shim_reserve_add(size_t size);

// Handles: a number that names an object of some kind, as an opaque pointer. Looking one up takes no lock and touches no
// memory but the table's own, so a freed, foreign or made-up handle is told from a live one.
void *shim_handle_new(void *object, uint32_t kind);          // NULL: no memory
void *shim_handle_object(const void *handle, uint32_t kind); // NULL: no live handle of that kind
void *shim_handle_free(const void *handle, uint32_t kind);   // the object, now nameless; NULL as above

// Files. Both return 0 or the value of errno. Read gives a block of shim_allocate and its size.
int shim_read_file(const char *path, void **data, size_t *size);
// Writes beside the file, flushes, and renames over it: the old file or the new one is there, whole, at any moment.
int shim_write_file(const char *path, const void *data, size_t size);
// A file that is read piece by piece, as those of /proc, which have no size: -1 when it cannot be opened. Read gives
// fewer bytes than `size` at the end, and after an error.
int shim_open(const char *path);
size_t shim_read(int file, void *data, size_t size);
void shim_close(int file);
// What an errno value means, static; NULL for one that files do not give. strerror would read the locale.
const char *shim_error_name(int error);
enum { SHIM_NO_MEMORY = 12 }; // ENOMEM, on every system this runs on

double shim_seconds(void); // of a clock that only goes forwards

// The number that this text says, correctly rounded: digits, perhaps a point and digits, perhaps an exponent. The caller has
// checked that it is such a text.
double shim_decimal(const uint8_t *text, size_t count);

// The kind of a character for the tokenizer. Ideographs are signs, and so is what Unicode has not assigned.
enum { SHIM_SIGN, SHIM_LETTER, SHIM_MARK, SHIM_DIGIT, SHIM_SEPARATOR, SHIM_JOIN_CONTROL };
int shim_character_kind(uint32_t code);
// The lower case of a character by itself; U+0130, whose lower case is two characters, is given back as it is.
uint32_t shim_lower_case(uint32_t code);

// Threads

int shim_affinity(void); // how many processors this thread may run on, at least 1

// A team: `workers` threads, of which one is the thread that brings the work. The others are started here, block all
// signals, and run nothing but the work. All of them compute in the float mode (rounding, denormals) of the thread
// that brings the work, but none has exceptions that trap. NULL: no memory, more than 8192, or the system refuses the
// threads; none is left over.
//
// The team does one job at a time. Work that comes while it has one (from inside the job, or from another thread of
// the host), and work that comes after a fork, in the child, where the workers do not exist, is done by the thread
// that brings it, alone. A team of one is a plain loop.
//
// share, together and meet allocate nothing, and make no system call while all workers are awake.
typedef struct shim_team shim_team;
shim_team *shim_team_new(int workers);
void shim_team_free(shim_team *team); // no job may be running
// Between jobs a worker looks out for the next one for so many microseconds before it goes to sleep. At first it is 0:
// it sleeps at once, and so it does whatever is asked in a team of more workers than cores. Waking one that sleeps
// takes the system 5 to 50 microseconds; looking out takes a core from others.
void shim_team_linger(shim_team *team, uint32_t microseconds);

// Each item from 0 up once, by whoever is free, claimed in that order. Returns when all are done, which waits for an
// item that a worker has claimed, never for a worker that has claimed none.
void shim_team_share(shim_team *team, size_t items, void (*work)(void *context, size_t item), void *context);

// The work once on each of the first `workers` of the team, at the same time; a worker has the same number, and most
// likely the same core, each time. Asking for more than the team has, or for less than one, gets what there is. The
// work is told how many take part: 1 where the team is not to be had (see above).
void shim_team_together(shim_team *team, int workers, void (*work)(void *context, int worker, int workers),
                        void *context);

// Inside shim_team_together: returns when `parties` workers have come to this place, of which a team has workers + 1:
// for everyone and for groups. What they wrote before, all of them see after. The parties of a place may change from
// job to job, not within one. For one party it does nothing.
void shim_team_meet(shim_team *team, int place, int parties);
// Nanoseconds that waits in shim_team_meet of over a millisecond have taken since the team was made, of all workers:
// those that they waited for had no core.
uint64_t shim_team_starved(const shim_team *team);

// The float mode of this thread. Flush: denormal numbers become zeros and no floating-point exception traps, until the
// mode that it returns is restored. Adopt takes over from another thread's mode what decides results, but no traps.
uint32_t shim_float_mode(void);
uint32_t shim_flush_denormals(void);
void shim_restore_float_mode(uint32_t mode);
void shim_adopt_float_mode(uint32_t mode);

double shim_exp(double x);
double shim_log(double x);
double shim_log1p(double x);
double shim_sqrt(double x);
double shim_cos(double x);
double shim_sin(double x);
double shim_pow(double x, double y);

#pragma GCC visibility pop

#endif
