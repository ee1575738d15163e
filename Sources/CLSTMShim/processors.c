// How many processors this process may use. A cgroup's quota lies in a file of its folder, and so do those of the
// groups around it, which hold as well. Where the folder is, two files of /proc say: `cgroup` names the group (its
// path), and `mountinfo` says where the tree of groups (of which a container sees only a branch, the mount's root) can
// be read.
#define _GNU_SOURCE
#include "shim.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 4096, PATH = 1024 };

typedef struct {
  int file;
  size_t used, next; // bytes read into the text, and where the next line begins
  char text[LINE + 1];
} reader;

// Opens root/name. False when there is no such file.
static int reader_open(reader *r, const char *root, const char *name) {
  char path[PATH];
  const int length = snprintf(path, sizeof path, "%s%s", root, name);
  r->used = r->next = 0;
  r->file = length < 0 || length >= PATH ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  return r->file >= 0;
}

// The next line, without its end; NULL after the last. Of a line longer than the reader, pieces.
static char *reader_line(reader *r) {
  for (;;) {
    char *line = r->text + r->next, *end = memchr(line, '\n', r->used - r->next);
    if (end == NULL && r->used - r->next < LINE) {
      memmove(r->text, line, r->used -= r->next);
      r->next = 0;
      const ssize_t count = read(r->file, r->text + r->used, LINE - r->used);
      if (count > 0) {
        r->used += (size_t)count;
        continue;
      }
      if (r->used == 0) return NULL;
      line = r->text;
    }
    if (end == NULL) end = r->text + r->used;
    *end = 0;
    r->next = (size_t)(end - r->text) + (end < r->text + r->used);
    return line;
  }
}

static void reader_close(reader *r) { close(r->file); }

// The positive numbers that begin the first line of a folder's file, at most `limit`: how many. "max" and -1 are none.
static int read_numbers(const char *folder, const char *name, int64_t *numbers, int limit) {
  reader r;
  int count = 0;
  if (!reader_open(&r, folder, name)) return 0;
  for (const char *c = reader_line(&r); c != NULL && count < limit && *c >= '1' && *c <= '9'; c += *c == ' ') {
    int64_t value = 0;
    for (; *c >= '0' && *c <= '9'; c++) value = value < INT64_MAX / 10 - 1 ? 10 * value + (*c - '0') : value;
    numbers[count++] = value;
  }
  reader_close(&r);
  return count;
}

static int quota_of_folder(const char *folder, int version) {
  int64_t quota[2];
  const int known = version == 2 ? read_numbers(folder, "/cpu.max", quota, 2) == 2
                                 : read_numbers(folder, "/cpu.cfs_quota_us", quota, 1) > 0 &&
                                       read_numbers(folder, "/cpu.cfs_period_us", quota + 1, 1) > 0;
  if (!known) return INT32_MAX;
  const int64_t whole = (quota[0] - 1) / quota[1] + 1;
  return whole < INT32_MAX ? (int)whole : INT32_MAX;
}

// Whether a list of words between commas has this word.
static int has_word(const char *list, const char *word) {
  const size_t length = strlen(word);
  for (; list != NULL; list = strchr(list, ',')) {
    list += *list == ',';
    if (strncmp(list, word, length) == 0 && (list[length] == ',' || list[length] == 0)) return 1;
  }
  return 0;
}

// Cuts a text in two at a character: the second part, or NULL.
static char *cut(char *text, char at) {
  char *found = text == NULL ? NULL : strchr(text, at);
  if (found != NULL) *found++ = 0;
  return found;
}

// mountinfo writes white space and backslashes in names as \ and three octal digits.
static void unescape(char *text) {
  char *to = text;
  for (; *text != 0; text++) {
    if (text[0] == '\\' && text[1] != 0 && text[2] != 0 && text[3] != 0) {
      *to++ = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0'));
      text += 3;
    } else {
      *to++ = *text;
    }
  }
  *to = 0;
}

typedef char path[PATH];

// The paths of this process's groups: of the one tree of version 2, and of the tree of version 1 that has the cpu
// controller.
static void read_groups(const char *root, path groups[3]) {
  reader r;
  groups[1][0] = groups[2][0] = 0;
  if (!reader_open(&r, root, "/proc/self/cgroup")) return;
  for (char *line; (line = reader_line(&r)) != NULL;) {
    char *controllers = cut(line, ':'), *name = cut(controllers, ':');
    if (name == NULL || strlen(name) >= PATH) continue;
    if (strcmp(line, "0") == 0) strcpy(groups[2], name);
    if (has_word(controllers, "cpu")) strcpy(groups[1], name);
  }
  reader_close(&r);
}

// The smallest quota from this group, as the mount shows it, up to the mount's own folder.
static int quota_of_mount(const char *root, const char *mount, const char *mount_root, const char *group, int version) {
  char folder[PATH];
  const size_t shown = strcmp(mount_root, "/") == 0 ? 0 : strlen(mount_root);
  const char *below =
      strncmp(group, mount_root, shown) == 0 && (group[shown] == '/' || group[shown] == 0) ? group + shown : "";
  int smallest = INT32_MAX;
  if (strncmp(below, "/..", 3) == 0) below = ""; // a group outside the namespace
  const int top = snprintf(folder, sizeof folder, "%s%s", root, mount);
  if (top < 0 || (size_t)top + strlen(below) >= sizeof folder) return smallest;
  strcpy(folder + top, below);
  for (;;) {
    const int quota = quota_of_folder(folder, version);
    if (quota < smallest) smallest = quota;
    char *last = strrchr(folder + top, '/');
    if (last == NULL) return smallest;
    *last = 0;
  }
}

int shim_quota(const char *root) {
  reader r;
  path groups[3];
  int smallest = INT32_MAX;
  read_groups(root, groups);
  if (!reader_open(&r, root, "/proc/self/mountinfo")) return smallest;
  for (char *line; (line = reader_line(&r)) != NULL;) {
    // Number, parent, device, root, mount, options, optional fields, "-", type, source, options of the type.
    char *type = strstr(line, " - ");
    if (type == NULL) continue;
    *type = 0, type += 3;
    char *mount_root = cut(cut(cut(line, ' '), ' '), ' '), *mount = cut(mount_root, ' '),
         *options = cut(cut(type, ' '), ' ');
    if (mount == NULL) continue;
    cut(mount, ' ');
    const int version = strcmp(type, "cgroup2") == 0                              ? 2
                        : strcmp(type, "cgroup") == 0 && has_word(options, "cpu") ? 1
                                                                                  : 0;
    if (version == 0 || groups[version][0] != '/') continue;
    unescape(mount_root), unescape(mount);
    const int quota = quota_of_mount(root, mount, mount_root, groups[version], version);
    if (quota < smallest) smallest = quota;
  }
  reader_close(&r);
  return smallest;
}

int shim_affinity(void) {
  cpu_set_t sets[8]; // a system with more than 8192 processors refuses them
  const int known = sched_getaffinity(0, sizeof sets, sets) == 0;
  return known ? CPU_COUNT_S(sizeof sets, sets) : 1;
}

int shim_processors(void) {
  const int cores = shim_affinity(), quota = shim_quota("");
  return cores < quota ? cores : quota;
}
