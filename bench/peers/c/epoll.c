/*
 * An echo server on epoll: one thread, each connection registered once, with edges.
 *
 *	cc -O2 -o epoll epoll.c && ./epoll
 */
#define _GNU_SOURCE /* accept4 */
#include "server.h"

#include <stdbool.h>
#include <sys/epoll.h>

/*
 * One buffer for all, so it stays in the cache. It is larger than the largest
 * requests, so that one of 16 KiB is a short read, too.
 */
#define BUFFER_SIZE (64 << 10)
#define EVENTS 1024

/* conn is a connection, at the index of its descriptor. */
struct conn {
	char *unsent; /* what the socket didn't take: nothing is read meanwhile */
	unsigned at, len;
	bool hung_up; /* the peer sends no more: read to the end */
};

static int ep, listener;
static struct conn *conns;
static char buffer[BUFFER_SIZE];
static bool accept_waits;

static void watch(int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.fd = fd};

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0)
		die(errno, "watch a descriptor");
}

/* accept_all takes what waits; EPOLLOUT at once spares a change when a send is stuck. */
static void accept_all(void)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			watch(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
			continue;
		}
		if (accept_again(errno))
			continue;
		accept_waits = out_of_files(errno); /* for a connection to close */
		if (!accept_waits && errno != EAGAIN)
			die(errno, "accept");
		return;
	}
}

static void drop(int fd)
{
	free(conns[fd].unsent);
	conns[fd] = (struct conn){0};
	close(fd);
	if (accept_waits)
		accept_all();
}

/* send_some sends until the socket takes no more, and returns how much, or -1. */
static ssize_t send_some(int fd, const char *data, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t n = send(fd, data + at, len - at, MSG_NOSIGNAL);

		if (n >= 0)
			at += (size_t)n;
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			return -1;
	}
	return (ssize_t)at;
}

/* flush says whether the connection may read again; it can have dropped it. */
static bool flush(int fd)
{
	struct conn *c = &conns[fd];
	ssize_t n = send_some(fd, c->unsent + c->at, c->len - c->at);

	if (n < 0) {
		drop(fd);
		return false;
	}
	c->at += (unsigned)n;
	if (c->at < c->len)
		return false;
	free(c->unsent);
	c->unsent = NULL;
	return true;
}

/* echo says whether the connection may read on; it can have dropped it. */
static bool echo(int fd, size_t len)
{
	struct conn *c = &conns[fd];
	ssize_t n = send_some(fd, buffer, len);

	if (n < 0) {
		drop(fd);
		return false;
	}
	if ((size_t)n == len)
		return true;
	c->at = 0;
	c->len = (unsigned)(len - (size_t)n);
	c->unsent = malloc(c->len);
	if (c->unsent == NULL)
		die(ENOMEM, "keep an answer");
	memcpy(c->unsent, buffer + n, c->len);
	return false;
}

/*
 * serve reads until a short read, which tells that the socket is empty without
 * another call: what comes later is a new edge. Not so the end: one that came
 * with the data had its edge already, so after a hang-up it is read for.
 */
static void serve(int fd, uint32_t events)
{
	struct conn *c = &conns[fd];

	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		c->hung_up = true;
	if (c->unsent != NULL) {
		if (!flush(fd))
			return;
	} else if (events == EPOLLOUT) {
		return; /* the first edge of a new connection */
	}
	for (;;) {
		ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			drop(fd);
			return;
		}
		if (!echo(fd, (size_t)n))
			return;
		if ((size_t)n < sizeof(buffer) && !c->hung_up)
			return;
	}
}

/* input_ended reads what standard input has, and says whether it was the end. */
static bool input_ended(void)
{
	ssize_t n = read(STDIN_FILENO, buffer, sizeof(buffer));

	return n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
}

static void dispatch(const struct epoll_event *e)
{
	if (e->data.fd == listener)
		accept_all();
	else if (e->data.fd != STDIN_FILENO)
		serve(e->data.fd, e->events);
	else if (input_ended())
		exit(0);
}

int main(void)
{
	static struct epoll_event events[EVENTS];

	conns = reserve((size_t)raise_limit() * sizeof(*conns));
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0)
		die(errno, "create an epoll");
	watch(STDIN_FILENO, EPOLLIN);
	listener = listen_loopback(SOCK_NONBLOCK);
	watch(listener, EPOLLIN | EPOLLET);
	for (;;) {
		int n = epoll_wait(ep, events, EVENTS, -1);

		if (n < 0 && errno != EINTR)
			die(errno, "wait");
		for (int i = 0; i < n; i++)
			dispatch(&events[i]);
	}
}
