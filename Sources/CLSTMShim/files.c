#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// What stands at a path, or behind a descriptor (path NULL). statx, because glibc's stat and fstat are younger.
typedef struct statx file_status;
static int status_of(int file, const char *path, file_status *status) {
  const unsigned wanted = STATX_TYPE | STATX_MODE | STATX_SIZE;
  return path == NULL ? statx(file, "", AT_EMPTY_PATH, wanted, status) : statx(AT_FDCWD, path, 0, wanted, status);
}

static int close_with(int file, int error) {
  if (close(file) != 0 && error == 0) error = errno;
  return error;
}

static int read_all(int file, char *data, size_t size, size_t *done) {
  for (*done = 0; *done < size;) {
    ssize_t n = read(file, data + *done, size - *done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) break;
    *done += (size_t)n;
  }
  return 0;
}

// The file is read rather than mapped: a mapping of a file that someone cuts short later would kill the process.
int shim_read_file(const char *path, void **data, size_t *size) {
  file_status about;
  int error = 0, file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return errno;
  if (status_of(file, NULL, &about) != 0) return close_with(file, errno);
  if (S_ISDIR(about.stx_mode)) return close_with(file, EISDIR);
  if (!S_ISREG(about.stx_mode)) return close_with(file, EINVAL);
  *data = shim_allocate((size_t)about.stx_size + 1);
  if (*data == NULL) return close_with(file, ENOMEM);
  error = close_with(file, read_all(file, *data, (size_t)about.stx_size, size));
  if (error != 0) shim_deallocate(*data);
  return error;
}

int shim_open(const char *path) { return open(path, O_RDONLY | O_CLOEXEC); }

size_t shim_read(int file, void *data, size_t size) {
  size_t done;
  read_all(file, data, size, &done);
  return done;
}

void shim_close(int file) { close(file); }

static int write_all(int file, const char *data, size_t size) {
  while (size > 0) {
    ssize_t n = write(file, data, size < (1u << 30) ? size : 1u << 30);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return ENOSPC;
    data += n;
    size -= (size_t)n;
  }
  return 0;
}

// A rename is on disk only when its directory is. Not every file system can flush one: that is no error.
static void flush_directory_of(char *path) {
  char *slash = strrchr(path, '/');
  int directory;
  if (slash != NULL) slash[slash == path] = 0;
  directory = open(slash != NULL ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return;
  fsync(directory);
  close(directory);
}

// A new, empty file beside `path`, its name in `temporary` (room for the path and TEMPORARY_SUFFIX bytes more).
enum { TEMPORARY_SUFFIX = 24 };
static int open_beside(const char *path, char *temporary) {
  for (int attempt = 0; attempt < 100; attempt++) {
    struct timespec now;
    int file;
    clock_gettime(CLOCK_REALTIME, &now);
    sprintf(temporary, "%s.%08x%08x.tmp", path, (unsigned)getpid(), (unsigned)now.tv_nsec + (unsigned)attempt);
    file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file >= 0 || errno != EEXIST) return file;
  }
  return -1;
}

// Writes `path`, which is no link, by way of `temporary`. `about` tells of the file that is there, if there is one.
static int replace(char *path, char *temporary, const file_status *about, const void *data, size_t size) {
  int error, file = open_beside(path, temporary);
  if (file < 0) return errno;
  error = write_all(file, data, size);
  if (error == 0 && about != NULL && fchmod(file, about->stx_mode & 0777) != 0) error = errno;
  if (error == 0 && fsync(file) != 0) error = errno;
  error = close_with(file, error);
  if (error == 0 && rename(temporary, path) != 0) error = errno;
  if (error != 0)
    unlink(temporary);
  else
    flush_directory_of(path);
  return error;
}

int shim_write_file(const char *path, const void *data, size_t size) {
  file_status about;
  int there = status_of(-1, path, &about) == 0, error;
  // A link stays a link: what it points to is replaced. A device, pipe or directory cannot be replaced without harm.
  char *target = there ? realpath(path, NULL) : strdup(path);
  char *temporary = target == NULL ? NULL : malloc(strlen(target) + TEMPORARY_SUFFIX);
  if (temporary == NULL)
    error = errno;
  else if (path[0] == 0)
    error = ENOENT;
  else if (there && S_ISDIR(about.stx_mode))
    error = EISDIR;
  else if (there && !S_ISREG(about.stx_mode))
    error = EINVAL;
  else
    error = replace(target, temporary, there ? &about : NULL, data, size);
  free(temporary);
  free(target);
  return error;
}

const char *shim_error_name(int error) {
  switch (error) {
  case ENOENT:
    return "no such file or directory";
  case EACCES:
    return "permission denied";
  case EPERM:
    return "operation not permitted";
  case EISDIR:
    return "is a directory";
  case ENOTDIR:
    return "a part of the path is not a directory";
  case EINVAL:
    return "not a regular file";
  case ENAMETOOLONG:
    return "name too long";
  case ELOOP:
    return "too many symbolic links";
  case EROFS:
    return "read-only file system";
  case ENOSPC:
    return "no space left on device";
  case EDQUOT:
    return "disk quota exceeded";
  case EFBIG:
    return "file too large";
  case EIO:
    return "input or output error";
  case EMFILE:
  case ENFILE:
    return "too many open files";
  case EBUSY:
    return "busy";
  case ETXTBSY:
    return "text file busy";
  default:
    return NULL;
  }
}
