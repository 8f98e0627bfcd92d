/*
 * A file reader on POSIX AIO, which glibc makes of threads: each request is a
 * pread in one of them.
 *
 * It gives glibc what it needs for its best, which isn't the default:
 *
 * A descriptor for each request in flight. Those of one descriptor go to one
 * thread, one after the other, so with one for all the depth would be 1.
 *
 * As many threads as requests in flight: there are 20 at most by default.
 *
 * It waits for any of them (aio_suspend) and takes all that are done.
 */
#define _GNU_SOURCE /* O_DIRECT, aio_init */
#include "posix_aio.h"

#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096

struct slot {
	struct aiocb cb;
	uint64_t block;
	int64_t begun;
};

struct reader {
	int depth, open; /* requests in flight, descriptors */
	uint64_t blocks, seed;
	struct slot *slots;
	const struct aiocb **waiting; /* by slot; NULL if it isn't in flight */
	char *memory;
};

static int64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* random_block is splitmix64, scaled to the blocks. */
static uint64_t random_block(struct reader *r)
{
	uint64_t x = r->seed += 0x9e3779b97f4a7c15;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return (uint64_t)((unsigned __int128)(x ^ (x >> 31)) * r->blocks >> 64);
}

static void count(struct posix_aio_figures *f, int64_t latency)
{
	uint64_t v = latency > 0 ? (uint64_t)latency : 0;
	int shift = v < 2 * HALF ? 0 : 57 - __builtin_clzll(v);

	f->latencies[shift * HALF + (int)(v >> shift)]++;
	f->requests++;
}

/* next gives a slot its next request. */
static int next(struct reader *r, int i)
{
	struct slot *s = &r->slots[i];

	s->block = random_block(r);
	s->cb.aio_offset = (off_t)(s->block * BLOCK);
	s->begun = now(CLOCK_MONOTONIC);
	if (aio_read(&s->cb) < 0)
		return errno;
	r->waiting[i] = &s->cb;
	return 0;
}

/* finish takes a request's result and checks the block. */
static int finish(struct reader *r, int i, int err)
{
	struct slot *s = &r->slots[i];
	ssize_t n = aio_return(&s->cb);
	uint64_t number;

	r->waiting[i] = NULL;
	if (err != 0)
		return err;
	memcpy(&number, (const void *)s->cb.aio_buf, sizeof(number));
	return n == BLOCK && number == s->block ? 0 : EBADMSG;
}

/* run takes what is done and replaces it, until the time is over. */
static int run(struct reader *r, int64_t time, struct posix_aio_figures *f)
{
	int64_t begin = now(CLOCK_MONOTONIC) + time / 4, begun = 0, cpu = 0;

	for (int i = 0; i < r->depth; i++) {
		int err = next(r, i);

		if (err != 0)
			return err;
	}
	for (;;) {
		if (aio_suspend(r->waiting, r->depth, NULL) < 0 && errno != EINTR)
			return errno;
		for (int i = 0; i < r->depth; i++) {
			int err = aio_error(&r->slots[i].cb);

			if (err == EINPROGRESS)
				continue;
			err = finish(r, i, err);
			if (err != 0)
				return err;
			if (begun != 0)
				count(f, now(CLOCK_MONOTONIC) - r->slots[i].begun);
			err = next(r, i);
			if (err != 0)
				return err;
		}
		int64_t t = now(CLOCK_MONOTONIC);

		if (begun == 0 && t >= begin) {
			begun = t;
			cpu = now(CLOCK_PROCESS_CPUTIME_ID);
		} else if (begun != 0 && t - begun >= time) {
			f->elapsed = t - begun;
			f->cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
			return 0;
		}
	}
}

/* drain waits for what is in flight, whose memory may not go before. */
static void drain(struct reader *r)
{
	for (int i = 0; i < r->depth; i++) {
		while (r->waiting[i] != NULL && aio_error(r->waiting[i]) == EINPROGRESS)
			aio_suspend(&r->waiting[i], 1, NULL);
	}
}

/* prepare opens the file once for each slot. */
static int prepare(struct reader *r, const char *name, int flags)
{
	struct stat st;

	if (stat(name, &st) < 0)
		return errno;
	r->blocks = (uint64_t)st.st_size / BLOCK;
	if (r->blocks == 0)
		return ENODATA;
	r->seed = (uint64_t)now(CLOCK_REALTIME);
	for (int i = 0; i < r->depth; i++) {
		struct aiocb *cb = &r->slots[i].cb;

		cb->aio_fildes = open(name, O_RDONLY | O_CLOEXEC | flags);
		if (cb->aio_fildes < 0)
			return errno;
		r->open++;
		cb->aio_buf = r->memory + (size_t)i * BLOCK;
		cb->aio_nbytes = BLOCK;
		cb->aio_sigevent.sigev_notify = SIGEV_NONE;
	}
	return 0;
}

int posix_aio_read(const char *name, int depth, bool direct, int64_t time,
		   struct posix_aio_figures *f)
{
	size_t bytes = (size_t)depth * BLOCK;
	struct aioinit init = {.aio_threads = depth, .aio_num = depth};
	struct reader r = {
		.depth = depth,
		.slots = calloc((size_t)depth, sizeof(*r.slots)),
		.waiting = calloc((size_t)depth, sizeof(*r.waiting)),
		.memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
	};
	int err = ENOMEM;

	if (r.slots != NULL && r.waiting != NULL && r.memory != MAP_FAILED) {
		aio_init(&init);
		err = prepare(&r, name, direct ? O_DIRECT : 0);
		if (err == 0)
			err = run(&r, time, f);
		drain(&r);
	}
	for (int i = 0; i < r.open; i++)
		close(r.slots[i].cb.aio_fildes);
	if (r.memory != MAP_FAILED)
		munmap(r.memory, bytes);
	free(r.waiting);
	free(r.slots);
	return err;
}
