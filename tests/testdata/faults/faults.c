// Lets the disk fail under a database's WAL, in a process that has this library preloaded: a sync fails while the file exists
// that STATEREGISTRY_TEST_FAIL_SYNC names, and a write finds the disk full while that of STATEREGISTRY_TEST_FAIL_WRITE does.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(const char *variable, int fd) {
  const char *flag = getenv(variable);
  if (flag == NULL || access(flag, F_OK) != 0) return 0;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path);
  return n > 4 && memcmp(path + n - 4, "-wal", 4) == 0;
}

#define SYNC(name)                                                                  \
  int name(int fd) {                                                                \
    if (fails("STATEREGISTRY_TEST_FAIL_SYNC", fd)) return errno = EIO, -1;          \
    static int (*real)(int);                                                        \
    if (real == NULL) real = dlsym(RTLD_NEXT, #name);                               \
    return real(fd);                                                                \
  }
SYNC(fsync)
SYNC(fdatasync)

#define PWRITE(name, offset)                                                        \
  ssize_t name(int fd, const void *bytes, size_t size, offset at) {                 \
    if (fails("STATEREGISTRY_TEST_FAIL_WRITE", fd)) return errno = ENOSPC, -1;      \
    static ssize_t (*real)(int, const void *, size_t, offset);                      \
    if (real == NULL) real = dlsym(RTLD_NEXT, #name);                               \
    return real(fd, bytes, size, at);                                               \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)
