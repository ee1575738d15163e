// What Swift cannot say: thread-local text, errno, handles that survive misuse, files, and memory that may run out; and
// tables of characters, as Swift's own are ten times as large.
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
// count. `used` tells whether an allocation has failed since. Add sets one block of `size` bytes aside: 0, or -1.
int shim_reserve_open(void);
void shim_reserve_close(void);
int shim_reserve_used(void);
int shim_reserve_add(size_t size);

// Handles: a number that names an object of some kind, as an opaque pointer. Looking one up takes no lock and touches no
// memory but the table's own, so a freed, foreign or made-up handle is told from a live one.
void *shim_handle_new(void *object, uint32_t kind);          // NULL: no memory
void *shim_handle_object(const void *handle, uint32_t kind); // NULL: no live handle of that kind
void *shim_handle_free(const void *handle, uint32_t kind);   // the object, now nameless; NULL as above

// Files. All return 0 or the value of errno. Read gives a block of shim_allocate and its size.
int shim_read_file(const char *path, void **data, size_t *size);
// Writes beside the file, flushes, and renames over it: the old file or the new one is there, whole, at any moment.
int shim_write_file(const char *path, const void *data, size_t size);
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

double shim_exp(double x);
double shim_log(double x);
double shim_log1p(double x);
double shim_sqrt(double x);
double shim_cos(double x);
double shim_pow(double x, double y);

#pragma GCC visibility pop

#endif
