// Stands between a program and the C library (LD_PRELOAD): fails or dies at a chosen file operation, and shows another clock.
//
//   FAULT_DIR     only operations on files below this folder count (an absolute path)
//   FAULT_LOG     every operation that counts is written here, one a line: KIND PATH
//   FAULT_KIND    only this kind is counted for FAULT_AT: open, write, sync, rename, mkdir or unlink; all kinds where it is not set
//   FAULT_AT      the number of the operation, from 1, at which it happens
//   FAULT_ERRNO   what happens: the operation fails with this error; where it is not set the process is killed
//   FAULT_LASTING with FAULT_ERRNO: later operations fail, too
//   FAULT_CLOCK   the time of day: seconds since 1970 at which it stands, or "back": an hour earlier at each look
//
// A write that fails or dies has written half.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static atomic_long seen;

static int below(const char *path) {
    const char *dir = getenv("FAULT_DIR");
    return dir && path && strncmp(path, dir, strlen(dir)) == 0;
}

// The absolute path of a file that an operation names.
static const char *absolute(const char *path, char *out) {
    char cwd[PATH_MAX];
    if (path[0] == '/' || !getcwd(cwd, sizeof cwd)) return path;
    snprintf(out, 2 * PATH_MAX, "%s/%s", cwd, path);
    return out;
}

static const char *path_of(int fd, char *out) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, out, PATH_MAX - 1);
    out[n < 0 ? 0 : n] = 0;
    return out;
}

static void note(const char *kind, const char *path) {
    const char *log = getenv("FAULT_LOG");
    int fd = log ? syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (fd < 0) return;
    char line[2 * PATH_MAX + 32];
    int n = snprintf(line, sizeof line, "%s %s\n", kind, path);
    syscall(SYS_write, fd, line, (size_t)n);
    syscall(SYS_close, fd);
}

// Whether it is to happen at this operation.
static int now(const char *kind, const char *path) {
    if (!below(path)) return 0;
    note(kind, path);
    const char *wanted = getenv("FAULT_KIND"), *at = getenv("FAULT_AT");
    if (!at || (wanted && strcmp(wanted, kind))) return 0;
    long n = ++seen;
    return n == atol(at) || (n > atol(at) && getenv("FAULT_LASTING"));
}

// It happens: the end of the process, or an error.
static int happen(void) {
    const char *error = getenv("FAULT_ERRNO");
    if (!error) {
        syscall(SYS_kill, getpid(), SIGKILL);
        for (;;) pause();
    }
    errno = atoi(error);
    return -1;
}

static int writes(int flags) { return flags & (O_CREAT | O_WRONLY | O_RDWR); }

#define OPEN(name)                                                                  \
    int name(const char *path, int flags, ...) {                                    \
        va_list args;                                                               \
        va_start(args, flags);                                                      \
        mode_t mode = va_arg(args, mode_t);                                         \
        va_end(args);                                                               \
        char buffer[2 * PATH_MAX];                                                  \
        if (writes(flags) && now("open", absolute(path, buffer))) return happen();  \
        return REAL(name)(path, flags, mode);                                       \
    }
OPEN(open)
OPEN(open64)

ssize_t write(int fd, const void *data, size_t n) {
    char path[PATH_MAX];
    if (!now("write", path_of(fd, path))) return REAL(write)(fd, data, n);
    REAL(write)(fd, data, n / 2);
    return happen();
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    char path[PATH_MAX];
    if (!now("write", path_of(fd, path))) return REAL(writev)(fd, parts, count);
    return happen();
}

#define SYNC(name)                                                  \
    int name(int fd) {                                              \
        char path[PATH_MAX];                                        \
        if (now("sync", path_of(fd, path))) return happen();        \
        return REAL(name)(fd);                                      \
    }
SYNC(fsync)
SYNC(fdatasync)

int rename(const char *from, const char *to) {
    char buffer[2 * PATH_MAX];
    return now("rename", absolute(to, buffer)) ? happen() : REAL(rename)(from, to);
}

int mkdir(const char *path, mode_t mode) {
    char buffer[2 * PATH_MAX];
    return now("mkdir", absolute(path, buffer)) ? happen() : REAL(mkdir)(path, mode);
}

int unlink(const char *path) {
    char buffer[2 * PATH_MAX];
    return now("unlink", absolute(path, buffer)) ? happen() : REAL(unlink)(path);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static atomic_long looks;
    const char *fake = getenv("FAULT_CLOCK");
    int result = syscall(SYS_clock_gettime, clock, time);
    if (fake && clock == CLOCK_REALTIME) time->tv_sec = strcmp(fake, "back") ? atol(fake) : time->tv_sec - 3600 * ++looks;
    return result;
}

int gettimeofday(struct timeval *time, void *zone) {
    (void)zone;
    struct timespec spec;
    int result = clock_gettime(CLOCK_REALTIME, &spec);
    time->tv_sec = spec.tv_sec;
    time->tv_usec = spec.tv_nsec / 1000;
    return result;
}

time_t time(time_t *out) {
    struct timespec spec;
    clock_gettime(CLOCK_REALTIME, &spec);
    if (out) *out = spec.tv_sec;
    return spec.tv_sec;
}
