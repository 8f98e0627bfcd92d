#ifndef POSIX_AIO_H
#define POSIX_AIO_H

#include <stdbool.h>
#include <stdint.h>

/* Latencies are counted in buckets whose width is at most 1/64 of their value. */
#define HALF 64
#define BUCKETS (58 * HALF)

struct posix_aio_figures {
	int64_t requests, elapsed, cpu; /* ns */
	uint32_t latencies[BUCKETS];
};

/*
 * posix_aio_read reads blocks at random, with as many requests in flight as the
 * depth says, a quarter of the time (in ns) to warm up and then for the time. It
 * returns 0 or an errno, and EBADMSG for a block that doesn't begin with its number.
 */
int posix_aio_read(const char *name, int depth, bool direct, int64_t time,
		   struct posix_aio_figures *f);

#endif
