#ifndef CEPOLL_SHIM_H
#define CEPOLL_SHIM_H
#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

// The headers make these known only to those who define _GNU_SOURCE, and a module is read without.
extern int pthread_setname_np(pthread_t thread, const char *name);
extern int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags);

// Enumerators and macros in the type of epoll_event.events.
static const uint32_t CEpoll_in = EPOLLIN;
static const uint32_t CEpoll_out = EPOLLOUT;
static const uint32_t CEpoll_peerEnded = EPOLLRDHUP;
static const uint32_t CEpoll_hangUp = EPOLLHUP;
static const uint32_t CEpoll_error = EPOLLERR;
static const uint32_t CEpoll_edge = EPOLLET;
#endif
