// Lets the disk fail under a database's WAL, in a process that has this library preloaded: a sync fails while the file exists
// that STATEREGISTRY_TEST_FAIL_SYNC names, and a write finds the disk full while that of STATEREGISTRY_TEST_FAIL_WRITE does.
//
// With STATEREGISTRY_TEST_FAIL_NTH="io N PREFIX" the N-th read, write, sync, truncation or removal of a file whose path starts
// with PREFIX fails with EIO, once; with "open N PREFIX" the N-th open finds no descriptor (EMFILE), once. The file PREFIX.hit
// is made then. Another value of the variable begins to count anew.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
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

// nth reports whether this call, of that kind, is the one that fails.
static int nth(const char *kind, const char *path) {
  static atomic_int calls;
  static char counted[4200];
  const char *spec = getenv("STATEREGISTRY_TEST_FAIL_NTH");
  char want[8], prefix[4096];
  int n;
  if (spec != NULL && strcmp(spec, counted) != 0) {
    snprintf(counted, sizeof counted, "%s", spec);
    calls = 0;
  }
  if (spec == NULL || sscanf(spec, "%7s %d %4000s", want, &n, prefix) != 3 || strcmp(want, kind) != 0) return 0;
  if (strncmp(path, prefix, strlen(prefix)) != 0 || atomic_fetch_add(&calls, 1) + 1 != n) return 0;
  FILE *hit = fopen(strcat(prefix, ".hit"), "w");
  if (hit != NULL) fclose(hit);
  return 1;
}

static int nth_of(int fd) {
  if (getenv("STATEREGISTRY_TEST_FAIL_NTH") == NULL) return 0;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = 0;
  return nth("io", path);
}

#define SYNC(name)                                                                  \
  int name(int fd) {                                                                \
    if (nth_of(fd)) return errno = EIO, -1;                                         \
    if (fails("STATEREGISTRY_TEST_FAIL_SYNC", fd)) return errno = EIO, -1;          \
    static int (*real)(int);                                                        \
    if (real == NULL) real = dlsym(RTLD_NEXT, #name);                               \
    return real(fd);                                                                \
  }
SYNC(fsync)
SYNC(fdatasync)

#define PWRITE(name, offset)                                                        \
  ssize_t name(int fd, const void *bytes, size_t size, offset at) {                 \
    if (nth_of(fd)) return errno = EIO, -1;                                         \
    if (fails("STATEREGISTRY_TEST_FAIL_WRITE", fd)) return errno = ENOSPC, -1;      \
    static ssize_t (*real)(int, const void *, size_t, offset);                      \
    if (real == NULL) real = dlsym(RTLD_NEXT, #name);                               \
    return real(fd, bytes, size, at);                                               \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define PREAD(name, offset)                                                         \
  ssize_t name(int fd, void *bytes, size_t size, offset at) {                       \
    if (nth_of(fd)) return errno = EIO, -1;                                         \
    static ssize_t (*real)(int, void *, size_t, offset);                            \
    if (real == NULL) real = dlsym(RTLD_NEXT, #name);                               \
    return real(fd, bytes, size, at);                                               \
  }
PREAD(pread, off_t)
PREAD(pread64, off64_t)

#define TRUNCATE(name, offset)                                                      \
  int name(int fd, offset size) {                                                   \
    if (nth_of(fd)) return errno = EIO, -1;                                         \
    static int (*real)(int, offset);                                                \
    if (real == NULL) real = dlsym(RTLD_NEXT, #name);                               \
    return real(fd, size);                                                          \
  }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

int unlink(const char *path) {
  if (nth("io", path)) return errno = EIO, -1;
  static int (*real)(const char *);
  if (real == NULL) real = dlsym(RTLD_NEXT, "unlink");
  return real(path);
}

#define OPEN(name)                                                                  \
  int name(const char *path, int flags, ...) {                                      \
    if (nth("open", path)) return errno = EMFILE, -1;                               \
    va_list more;                                                                   \
    va_start(more, flags);                                                          \
    int mode = va_arg(more, int);                                                   \
    va_end(more);                                                                   \
    static int (*real)(const char *, int, ...);                                     \
    if (real == NULL) real = dlsym(RTLD_NEXT, #name);                               \
    return real(path, flags, mode);                                                 \
  }
OPEN(open)
OPEN(open64)
