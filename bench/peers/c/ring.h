/*
 * A ring on the raw system calls: set up with the best flags that the kernel
 * has, and driven by one enter for each batch.
 */
#ifndef RING_H
#define RING_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <sys/syscall.h>

#include "server.h"

#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1U << 16) /* Linux 6.6 */
#endif

/*
 * The completions are bounded by the connections, not by the queue: past it the
 * kernel keeps them (FEAT_NODROP).
 */
#define SQ_ENTRIES 4096
#define CQ_PER_SQ 4

struct ring {
	int fd;
	unsigned enter_flags;
	int enter_fd; /* the registered index, or fd */
	unsigned *sq_head, *sq_tail, sq_entries;
	unsigned tail, submitted; /* ours: filled, handed to the kernel */
	struct io_uring_sqe *sqes;
	unsigned *cq_head, *cq_tail, cq_mask;
	struct io_uring_cqe *cqes;
	bool multishot; /* Linux 5.19: multishot accepts, POLL_FIRST, rings of buffers */
};

/*
 * ring_open tries sets of flags, the best first. DEFER_TASKRUN (6.1) runs
 * completions only when the loop asks for them, in a batch, with no interrupt;
 * COOP_TASKRUN (5.19) at least spares the interrupt. SUBMIT_ALL is of 5.18.
 * EINVAL drops to the next set. ENOMEM is RLIMIT_MEMLOCK, which rings are charged
 * to on some kernels: half the size then.
 */
static int ring_open(struct io_uring_params *p)
{
	static const unsigned ladder[] = {
		IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
			IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_NO_SQARRAY,
		IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN,
		IORING_SETUP_SUBMIT_ALL,
		0,
	};
	const unsigned steps = sizeof(ladder) / sizeof(ladder[0]);
	unsigned entries = SQ_ENTRIES, i = 0;

	for (;;) {
		*p = (struct io_uring_params){
			.flags = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | ladder[i],
			.cq_entries = entries * CQ_PER_SQ,
		};
		int fd = (int)syscall(__NR_io_uring_setup, entries, p);

		if (fd >= 0)
			return fd;
		if (errno == EINVAL && i + 1 < steps)
			i++;
		else if (errno == ENOMEM && entries > 64)
			entries /= 2;
		else
			die(errno, "set up a ring");
	}
}

static void *ring_map(int fd, size_t bytes, off_t offset)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);

	if (p == MAP_FAILED)
		die(errno, "map a ring");
	return p;
}

static void ring_init(struct ring *r)
{
	struct io_uring_params p;
	const unsigned needed = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP;

	r->fd = ring_open(&p);
	if ((p.features & needed) != needed)
		die(ENOSYS, "this kernel's io_uring is too old");
	size_t sq = p.sq_off.array + p.sq_entries * sizeof(unsigned);
	size_t cq = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	char *base = ring_map(r->fd, sq > cq ? sq : cq, IORING_OFF_SQ_RING);

	r->sqes = ring_map(r->fd, p.sq_entries * sizeof(*r->sqes), IORING_OFF_SQES);
	r->sq_head = (unsigned *)(base + p.sq_off.head);
	r->sq_tail = (unsigned *)(base + p.sq_off.tail);
	r->sq_entries = p.sq_entries;
	r->cq_head = (unsigned *)(base + p.cq_off.head);
	r->cq_tail = (unsigned *)(base + p.cq_off.tail);
	r->cq_mask = p.cq_entries - 1;
	r->cqes = (struct io_uring_cqe *)(base + p.cq_off.cqes);
	r->tail = r->submitted = 0;
	/* These flags are of 5.19, too, or later. */
	r->multishot = p.flags & (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN);
	if (!(p.flags & IORING_SETUP_NO_SQARRAY))
		for (unsigned i = 0; i < p.sq_entries; i++)
			((unsigned *)(base + p.sq_off.array))[i] = i;

	/* A registered ring (5.18) spares the look-up of its descriptor at each enter. */
	struct io_uring_rsrc_update u = {.offset = -1U, .data = (__u64)r->fd};
	bool registered = syscall(__NR_io_uring_register, r->fd, IORING_REGISTER_RING_FDS, &u, 1) == 1;

	r->enter_fd = registered ? (int)u.offset : r->fd;
	r->enter_flags = registered ? IORING_ENTER_REGISTERED_RING : 0;
}

/*
 * ring_enter submits what was filled, and waits until `wait` completions are
 * there. GETEVENTS even for none: it makes room where completions overflowed.
 */
static void ring_enter(struct ring *r, unsigned wait)
{
	const unsigned flags = r->enter_flags | IORING_ENTER_GETEVENTS;

	__atomic_store_n(r->sq_tail, r->tail, __ATOMIC_RELEASE);
	long n = syscall(__NR_io_uring_enter, r->enter_fd, r->tail - r->submitted, wait, flags, NULL, 0);

	if (n >= 0)
		r->submitted += (unsigned)n;
	else if (errno != EINTR && errno != EAGAIN && errno != EBUSY)
		die(errno, "enter the ring");
}

/* ring_sqe returns the next slot, which the caller writes as a whole. */
static struct io_uring_sqe *ring_sqe(struct ring *r)
{
	/* Without SUBMIT_ALL an enter can stop at one bad entry: again, then. */
	while (r->tail - __atomic_load_n(r->sq_head, __ATOMIC_ACQUIRE) == r->sq_entries)
		ring_enter(r, 0);
	return &r->sqes[r->tail++ & (r->sq_entries - 1)];
}

/* ring_next takes the next completion off the queue, if there is one before `end`. */
static bool ring_next(struct ring *r, unsigned end, struct io_uring_cqe *cqe)
{
	unsigned head = *r->cq_head; /* only we write it */

	if (head == end)
		return false;
	*cqe = r->cqes[head & r->cq_mask];
	__atomic_store_n(r->cq_head, head + 1, __ATOMIC_RELEASE);
	return true;
}

/* ring_end is where the completions that are there now end. */
static unsigned ring_end(const struct ring *r)
{
	return __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE);
}

#endif
