/*
 * Buffers that all receives of a ring share: the kernel takes them in the order in
 * which they were given, and says in the completion which one it filled.
 *
 * So all of them pass through the cache: 2 MiB together, about the size of an L2.
 * Smaller ones would cut large requests into pieces, each with its completion and
 * its send. When they run out, receives wait, which a thousand busy connections
 * bear. A peer that never reads keeps the ones that its answers lie in.
 */
#ifndef SHARED_H
#define SHARED_H

#include "ring.h"

#define SHARED_SIZE (16 << 10)
#define SHARED_COUNT 128 /* a power of two */
#define NONE UINT16_MAX

/* chunk is what a buffer holds, and the buffer with the connection's next. */
struct chunk {
	unsigned len;
	uint16_t next;
};

struct shared {
	struct io_uring_buf_ring *entries;
	uint16_t tail;
	unsigned available; /* as far as completions tell */
	char *memory;
	struct chunk chunks[SHARED_COUNT];
};

static char *shared_at(const struct shared *s, uint16_t id)
{
	return s->memory + (size_t)id * SHARED_SIZE;
}

/* shared_give puts a buffer into the ring, where the kernel sees it once published. */
static void shared_give(struct shared *s, uint16_t id)
{
	struct io_uring_buf *b = &s->entries->bufs[s->tail++ & (SHARED_COUNT - 1)];

	/* Not as a whole: the ring's tail lies in the first entry's last field. */
	b->addr = (uintptr_t)shared_at(s, id);
	b->len = SHARED_SIZE;
	b->bid = id;
}

static void shared_publish(struct shared *s)
{
	__atomic_store_n(&s->entries->tail, s->tail, __ATOMIC_RELEASE);
}

static void shared_init(struct shared *s, const struct ring *r)
{
	s->entries = reserve(SHARED_COUNT * sizeof(struct io_uring_buf));
	s->memory = reserve((size_t)SHARED_COUNT * SHARED_SIZE);
	s->available = SHARED_COUNT;
	struct io_uring_buf_reg reg = {
		.ring_addr = (uintptr_t)s->entries,
		.ring_entries = SHARED_COUNT,
	};

	if (syscall(__NR_io_uring_register, r->fd, IORING_REGISTER_PBUF_RING, &reg, 1) < 0)
		die(errno, "register a ring of buffers, which needs Linux 5.19");
	for (unsigned i = 0; i < SHARED_COUNT; i++)
		shared_give(s, (uint16_t)i);
	shared_publish(s);
}

#endif
