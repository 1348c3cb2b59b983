/* Stands between a process and the kernel, for the crash tests (tests/tests/shim/): loaded with LD_PRELOAD, it kills the process
 * around a chosen system call, lets calls fail, and keeps a trace of everything that changes files.
 *
 *   SHIM_DIR     only this directory and what is below it is looked at; everything else passes through
 *   SHIM_TRACE   each call that changes a file is appended to this file (layout: trace_call)
 *   SHIM_FAULT   kill-before, kill-after, or the number of an errno to fail with; no fault if absent
 *   SHIM_AT      the fault meets the N-th call that is counted, from 1
 *   SHIM_ON      which calls are counted: open create write truncate sync rename remove mkdir; all but open if absent
 *   SHIM_FILES   counts calls only on paths that contain this text
 *   SHIM_STAYS   if set, the cause stays: all later calls that are counted fail as well
 *   SHIM_SHORT   if set, the first write that would fail is made in half: that is how a disk fills up
 *
 * Files are told by /proc/self/fd at each call, so no call that makes, copies or passes on a descriptor needs to be known.
 * One lock is held over a call and its line, so the trace has the order of the effects. close is not interposed: it changes
 * nothing that a crash could show. sync_file_range passes through: it makes nothing durable. Memory maps would not be seen;
 * the test that compares a rebuilt directory with the real one (sees.rs) proves that there are none.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char dir[PATH_MAX];
static const char *kinds, *files, *fault;
static long at, counted;
static int stays, shorted, trace_fd = -1;

/* The call that this library stands before. */
#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

__attribute__((constructor)) static void set_up(void) {
    const char *below = getenv("SHIM_DIR"), *trace = getenv("SHIM_TRACE"), *number = getenv("SHIM_AT");
    if (!below || !realpath(below, dir)) abort();
    kinds = getenv("SHIM_ON");
    if (!kinds) kinds = "create write truncate sync rename remove mkdir";
    files = getenv("SHIM_FILES");
    fault = getenv("SHIM_FAULT");
    at = number ? atol(number) : 0;
    stays = getenv("SHIM_STAYS") != NULL;
    shorted = getenv("SHIM_SHORT") != NULL;
    if (trace) trace_fd = syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (trace && trace_fd < 0) abort();
}

static int below_dir(const char *path) {
    size_t n = strlen(dir);
    return n && !strncmp(path, dir, n) && (path[n] == '/' || !path[n]);
}

/* Both write the absolute path and answer whether it is looked at. */
static int path_of_fd(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return below_dir(path);
}

static int path_of_name(int at_fd, const char *name, char *path) {
    char base[PATH_MAX] = "";
    if (name[0] != '/' && at_fd == AT_FDCWD && !getcwd(base, sizeof base)) return 0;
    if (name[0] != '/' && at_fd != AT_FDCWD) path_of_fd(at_fd, base);
    int n = name[0] == '/' ? snprintf(path, PATH_MAX, "%s", name) : snprintf(path, PATH_MAX, "%s/%s", base, name);
    return n < PATH_MAX && below_dir(path);
}

/* One line `kind errno offset length path`, a tab and a second path if there is one; behind a write its bytes and a newline. */
static void trace_call(const char *kind, int error, long offset, size_t length, const char *path, const char *to,
                       const struct iovec *parts, int count) {
    if (trace_fd < 0) return;
    char line[2 * PATH_MAX + 128];
    int n = snprintf(line, sizeof line, "%s %d %ld %zu %s%s%s\n", kind, error, offset, length, path, to ? "\t" : "", to ? to : "");
    if (syscall(SYS_write, trace_fd, line, n) != n) abort();
    if (!parts) return;
    for (int i = 0; i < count && length; i++) {
        size_t some = parts[i].iov_len < length ? parts[i].iov_len : length;
        if (syscall(SYS_write, trace_fd, parts[i].iov_base, some) != (long)some) abort();
        length -= some;
    }
    if (syscall(SYS_write, trace_fd, "\n", 1) != 1) abort();
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Counts the call; kills the process or answers the errno to fail with, 0 for none. `after` says whether to die once it is made. */
static int strike(const char *kind, const char *path, int *after) {
    *after = 0;
    if (!fault || !strstr(kinds, kind) || (files && !strstr(path, files))) return 0;
    counted++;
    if (counted != at && !(stays && counted > at)) return 0;
    if (!strcmp(fault, "kill-before")) die();
    *after = !strcmp(fault, "kill-after");
    return *after ? 0 : atoi(fault);
}

/* The frame of every call on one path: `made` is the expression that makes it. */
#define CALL(type, kind, known, to, offset, amount, made)                                                       \
    do {                                                                                                        \
        char path[PATH_MAX];                                                                                    \
        if (!(known)) return made;                                                                              \
        pthread_mutex_lock(&lock);                                                                              \
        int after, error = strike(kind, path, &after);                                                          \
        type result = -1;                                                                                       \
        if (!error) {                                                                                           \
            result = made;                                                                                      \
            error = result < 0 ? errno : 0;                                                                     \
        }                                                                                                       \
        if (strcmp(kind, "open")) trace_call(kind, error, offset, amount, path, to, NULL, 0);                   \
        if (after) die();                                                                                       \
        pthread_mutex_unlock(&lock);                                                                            \
        errno = error;                                                                                          \
        return result;                                                                                          \
    } while (0)

static const char *kind_of(int flags) {
    return flags & (O_CREAT | O_TRUNC) ? "create" : "open";
}

static mode_t mode_of(int flags, va_list rest) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

#define OPEN_BODY(at_fd, made)                                                                                  \
    va_list rest;                                                                                               \
    va_start(rest, flags);                                                                                      \
    mode_t mode = mode_of(flags, rest);                                                                         \
    va_end(rest);                                                                                               \
    CALL(int, kind_of(flags), path_of_name(at_fd, name, path), NULL, flags & O_TRUNC ? 0 : -1, 0, made)

int open(const char *name, int flags, ...) { OPEN_BODY(AT_FDCWD, REAL(open)(name, flags, mode)); }
int open64(const char *name, int flags, ...) { OPEN_BODY(AT_FDCWD, REAL(open64)(name, flags, mode)); }
int openat(int from, const char *name, int flags, ...) { OPEN_BODY(from, REAL(openat)(from, name, flags, mode)); }
int openat64(int from, const char *name, int flags, ...) { OPEN_BODY(from, REAL(openat64)(from, name, flags, mode)); }
int creat(const char *name, mode_t mode) { return open(name, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *name, mode_t mode) { return open64(name, O_CREAT | O_WRONLY | O_TRUNC, mode); }

/* Where the next byte of a descriptor goes. */
static long position(int fd) {
    struct stat now;
    if (fcntl(fd, F_GETFL) & O_APPEND) return fstat(fd, &now) ? 0 : now.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

/* A write of any kind, as parts; at an offset of its own, or at the descriptor's with -1. */
static ssize_t write_parts(int fd, const struct iovec *parts, int count, long offset) {
    char path[PATH_MAX];
    if (!path_of_fd(fd, path)) {
        return offset < 0 ? REAL(writev)(fd, parts, count) : REAL(pwritev64)(fd, parts, count, offset);
    }
    pthread_mutex_lock(&lock);
    int after, error = strike("write", path, &after);
    long where = offset < 0 ? position(fd) : offset;
    struct iovec half;
    if (error && shorted) {
        half = (struct iovec){parts[0].iov_base, parts[0].iov_len / 2};
        parts = &half;
        count = 1;
        error = shorted = 0;
    }
    ssize_t result = -1;
    if (!error) {
        result = offset < 0 ? REAL(writev)(fd, parts, count) : REAL(pwritev64)(fd, parts, count, offset);
        error = result < 0 ? errno : 0;
    }
    trace_call("write", error, where, result < 0 ? 0 : result, path, NULL, parts, count);
    if (after) die();
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    struct iovec part = {(void *)bytes, length};
    return write_parts(fd, &part, 1, -1);
}
ssize_t writev(int fd, const struct iovec *parts, int count) { return write_parts(fd, parts, count, -1); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    struct iovec part = {(void *)bytes, length};
    return write_parts(fd, &part, 1, offset);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return pwrite64(fd, bytes, length, offset); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) { return write_parts(fd, parts, count, offset); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) { return write_parts(fd, parts, count, offset); }

int ftruncate64(int fd, off64_t length) { CALL(int, "truncate", path_of_fd(fd, path), NULL, length, 0, REAL(ftruncate64)(fd, length)); }
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int fsync(int fd) { CALL(int, "sync", path_of_fd(fd, path), NULL, 0, 0, REAL(fsync)(fd)); }
int fdatasync(int fd) { CALL(int, "sync", path_of_fd(fd, path), NULL, 0, 0, REAL(fdatasync)(fd)); }

#define NAME_CALL(kind, at_fd, name, to, made) CALL(int, kind, path_of_name(at_fd, name, path), to, 0, 0, made)

int rename(const char *from, const char *to) {
    char target[PATH_MAX];
    path_of_name(AT_FDCWD, to, target);
    NAME_CALL("rename", AT_FDCWD, from, target, REAL(rename)(from, to));
}
int unlink(const char *name) { NAME_CALL("remove", AT_FDCWD, name, NULL, REAL(unlink)(name)); }
int unlinkat(int from, const char *name, int flags) { NAME_CALL("remove", from, name, NULL, REAL(unlinkat)(from, name, flags)); }
int rmdir(const char *name) { NAME_CALL("remove", AT_FDCWD, name, NULL, REAL(rmdir)(name)); }
int mkdir(const char *name, mode_t mode) { NAME_CALL("mkdir", AT_FDCWD, name, NULL, REAL(mkdir)(name, mode)); }
int mkdirat(int from, const char *name, mode_t mode) { NAME_CALL("mkdir", from, name, NULL, REAL(mkdirat)(from, name, mode)); }
