/*
 * What the two echo servers share: the protocol of bench's servers. A server
 * listens on a free port of 127.0.0.1, prints its address as the first line of
 * its standard output, serves until its standard input ends, and exits with 0.
 */
#ifndef SERVER_H
#define SERVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* die ends the server: it says what failed, and why. */
__attribute__((noreturn, format(printf, 2, 3)))
static void die(int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, ": %s\n", strerror(err));
	exit(1);
}

/*
 * raise_limit raises the limit of open files and returns it: descriptors are
 * below it, so tables are indexed by descriptor. The hard limit can be 2^30 in
 * containers, more than a table should have.
 */
static int raise_limit(void)
{
	const rlim_t most = 1 << 17;
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		die(errno, "read the limit of open files");
	l.rlim_cur = l.rlim_max < most ? l.rlim_max : most;
	if (setrlimit(RLIMIT_NOFILE, &l) < 0)
		die(errno, "raise the limit of open files");
	return (int)l.rlim_cur;
}

/* reserve returns zeroed, page-aligned memory that costs nothing until touched. */
static void *reserve(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		die(errno, "map %zu bytes", bytes);
	return p;
}

/*
 * listen_loopback returns a listener on a free port, and prints its address.
 * Connections inherit TCP_NODELAY from it, which spares a call for each.
 */
static int listen_loopback(int flags)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(a);
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (fd < 0)
		die(errno, "open a socket");
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1 << 16) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &size) < 0)
		die(errno, "listen");
	printf("127.0.0.1:%d\n", ntohs(a.sin_port));
	if (fflush(stdout) != 0)
		die(errno, "print the address");
	return fd;
}

/* accept_again says whether a failed accept is the connection's fault or a signal's. */
static int accept_again(int err)
{
	return err == ECONNABORTED || err == EINTR || err == EPROTO;
}

/* out_of_files says whether a failed accept waits for a descriptor to come free. */
static int out_of_files(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

#endif
