/* Makes the n-th call of one kind of file operation below one directory fail once.
 *
 * FAULT_DIR    the directory, or the start of a path
 * FAULT_OP     the operation: open, read, write, sync, rename, unlink, mkdir, truncate, stat, readdir
 * FAULT_NTH    the number of the call that fails, counted from 1
 * FAULT_ALL    if set, every later call fails too
 * FAULT_ERRNO  the error number with which it fails
 * FAULT_MARK   a file outside the directory that is created when the call has failed
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static const char *op, *dir, *mark, *all;
static long nth, seen;
static int number;

__attribute__((constructor)) static void begin(void) {
  op = getenv("FAULT_OP"), dir = getenv("FAULT_DIR"), mark = getenv("FAULT_MARK");
  all = getenv("FAULT_ALL");
  const char *n = getenv("FAULT_NTH"), *e = getenv("FAULT_ERRNO");
  nth = n ? atol(n) : 0;
  number = e ? atoi(e) : EIO;
}

static int fails(const char *name, const char *path, int fd) {
  char buffer[4096];
  if (!op || !dir || !nth || strcmp(op, name)) return 0;
  if (!path || path[0] != '/') {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = syscall(SYS_readlink, link, buffer, sizeof buffer - 1);
    if (len < 0) return 0;
    buffer[len] = 0;
    path = buffer;
  }
  if (strncmp(path, dir, strlen(dir))) return 0;
  long count = __sync_add_and_fetch(&seen, 1);
  if (all ? count < nth : count != nth) return 0;
  if (mark) {
    int made = syscall(SYS_open, mark, O_CREAT | O_WRONLY, 0600);
    if (made >= 0) syscall(SYS_write, made, path, strlen(path)), syscall(SYS_close, made);
  }
  errno = number;
  return 1;
}

#define REAL(type, name, ...)                             \
  static type (*real)(__VA_ARGS__);                       \
  if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

#define OPEN(name)                                        \
  int name(const char *path, int flags, ...) {            \
    REAL(int, name, const char *, int, ...);              \
    va_list more;                                         \
    va_start(more, flags);                                \
    mode_t mode = va_arg(more, mode_t);                   \
    va_end(more);                                         \
    return fails("open", path, -1) ? -1 : real(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                      \
  int name(int at, const char *path, int flags, ...) {    \
    REAL(int, name, int, const char *, int, ...);         \
    va_list more;                                         \
    va_start(more, flags);                                \
    mode_t mode = va_arg(more, mode_t);                   \
    va_end(more);                                         \
    return fails("open", path, at) ? -1 : real(at, path, flags, mode); \
  }
OPENAT(openat)
OPENAT(openat64)

#define CALL(kind, type, name, params, args, path, fd)    \
  type name params {                                      \
    static type(*real) params;                            \
    if (!real) real = (type(*) params)dlsym(RTLD_NEXT, #name); \
    return fails(kind, path, fd) ? (type)-1 : real args;  \
  }
CALL("read", ssize_t, read, (int fd, void *b, size_t n), (fd, b, n), NULL, fd)
CALL("read", ssize_t, pread, (int fd, void *b, size_t n, off_t at), (fd, b, n, at), NULL, fd)
CALL("read", ssize_t, pread64, (int fd, void *b, size_t n, off64_t at), (fd, b, n, at), NULL, fd)
CALL("write", ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n), NULL, fd)
CALL("write", ssize_t, pwrite, (int fd, const void *b, size_t n, off_t at), (fd, b, n, at), NULL, fd)
CALL("write", ssize_t, pwrite64, (int fd, const void *b, size_t n, off64_t at), (fd, b, n, at), NULL, fd)
CALL("sync", int, fsync, (int fd), (fd), NULL, fd)
CALL("sync", int, fdatasync, (int fd), (fd), NULL, fd)
CALL("rename", int, rename, (const char *a, const char *b), (a, b), a, -1)
CALL("rename", int, link, (const char *a, const char *b), (a, b), a, -1)
CALL("rename", int, linkat, (int x, const char *a, int y, const char *b, int f), (x, a, y, b, f), a, x)
CALL("unlink", int, unlink, (const char *a), (a), a, -1)
CALL("unlink", int, rmdir, (const char *a), (a), a, -1)
CALL("unlink", int, unlinkat, (int x, const char *a, int f), (x, a, f), a, x)
CALL("mkdir", int, mkdir, (const char *a, mode_t m), (a, m), a, -1)
CALL("truncate", int, ftruncate, (int fd, off_t n), (fd, n), NULL, fd)
CALL("truncate", int, ftruncate64, (int fd, off64_t n), (fd, n), NULL, fd)
CALL("stat", int, statx, (int x, const char *a, int f, unsigned m, struct statx *s), (x, a, f, m, s), (a && a[0]) ? a : NULL, x)

DIR *opendir(const char *path) {
  REAL(DIR *, opendir, const char *);
  return fails("readdir", path, -1) ? NULL : real(path);
}
