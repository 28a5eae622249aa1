// Linux headers and calls that the Swift overlay does not show; the calls as inline functions.
#ifndef INGOT_CLINUX_H
#define INGOT_CLINUX_H
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

static inline int linux_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

extern int fallocate(int, int, off_t, off_t);
static inline int linux_fallocate(int file, off_t offset, off_t length) {
  return fallocate(file, 0, offset, length);
}

/// Makes a range read as zero, as after a lost extent. Used by tests.
static inline int linux_punch_hole(int file, off_t offset, off_t length) {
  return fallocate(file, 3 /* FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE */, offset, length);
}

extern int sync_file_range(int, off_t, off_t, unsigned int);
static inline int linux_start_writeback(int file, off_t offset, off_t length) {
  return sync_file_range(file, offset, length, 2 /* SYNC_FILE_RANGE_WRITE */);
}

/// Source: man 2 utimensat; the two numbers are UTIME_NOW and UTIME_OMIT.
extern int futimens(int, const struct timespec[2]);
static inline int linux_touch_access_time(int file) {
  const struct timespec times[2] = {{0, (1l << 30) - 1}, {0, (1l << 30) - 2}};
  return futimens(file, times);
}

/// An unnamed file: O_TMPFILE | O_RDWR | O_CLOEXEC, which the Swift overlay does not show. Source: man 2 open.
extern int open(const char *, int, ...);
static inline int linux_open_unnamed(const char *directory) {
  return open(directory, 020200000 | 02 | 02000000, 0600);
}

/// Shares the blocks of a whole file, where the file system can. Source: man 2 ioctl_ficlone.
static inline int linux_clone_file(int target, int source) {
  return ioctl(target, _IOW(0x94, 9, int) /* FICLONE */, source);
}

/// renameat2 with RENAME_EXCHANGE, relative to the working directory. Source: man 2 rename.
extern int renameat2(int, const char *, int, const char *, unsigned int);
static inline int linux_exchange(const char *path, const char *other) {
  return renameat2(-100 /* AT_FDCWD */, path, -100, other, 2 /* RENAME_EXCHANGE */);
}

extern off_t lseek(int, off_t, int);
static inline off_t linux_seek_data(int file, off_t offset) {
  return lseek(file, offset, 3 /* SEEK_DATA */);
}

/// renameat2 with RENAME_NOREPLACE.
static inline int linux_rename_new(const char *path, const char *name) {
  return renameat2(-100, path, -100, name, 1 /* RENAME_NOREPLACE */);
}

/// A read that the compiler does not leave out.
static inline unsigned char linux_read_byte(const void *address) {
  return *(const volatile unsigned char *)address;
}

static inline int linux_set_thread_name(const char *name) { return prctl(PR_SET_NAME, name); }

/// On Linux the nice value is the calling thread's own. Source: man 2 setpriority, "C library/kernel differences".
static inline int linux_lower_thread_priority(void) { return setpriority(PRIO_PROCESS, 0, 5); }

extern int accept4(int, struct sockaddr *, socklen_t *, int);
static inline int linux_accept(int listener, struct sockaddr *peer, socklen_t *length) {
  return accept4(listener, peer, length, SOCK_CLOEXEC | SOCK_NONBLOCK);
}
#endif
