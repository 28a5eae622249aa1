// Linux calls that the Swift overlay of the C library does not show, as inline functions.
#ifndef INGOT_CLINUX_H
#define INGOT_CLINUX_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <sys/eventfd.h>
#include <sys/socket.h>

static inline int linux_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

extern int accept4(int, struct sockaddr *, socklen_t *, int);
static inline int linux_accept(int listener, struct sockaddr *peer, socklen_t *length) {
  return accept4(listener, peer, length, SOCK_CLOEXEC | SOCK_NONBLOCK);
}
#endif
