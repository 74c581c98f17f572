/* A disk of which an SQLite database and its log cannot be read while the file $EIO_WHILE is there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef ssize_t (*reads)(int, void *, size_t, off64_t);

static int is_unreadable(int file) {
  const char *trigger = getenv("EIO_WHILE");
  char link[64], path[4096];
  if (!trigger || access(trigger, F_OK)) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strstr(path, ".db") && !strstr(path, ".lock") && !strstr(path, "-shm");
}

static ssize_t read_at(const char *name, int file, void *into, size_t size, off64_t from) {
  if (is_unreadable(file)) {
    errno = EIO;
    return -1;
  }
  return ((reads)dlsym(RTLD_NEXT, name))(file, into, size, from);
}

ssize_t pread64(int file, void *into, size_t size, off64_t from) { return read_at("pread64", file, into, size, from); }
ssize_t pread(int file, void *into, size_t size, off_t from) { return read_at("pread", file, into, size, from); }
