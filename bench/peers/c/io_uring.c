/*
 * An echo server on io_uring: one thread, one enter for each batch.
 *
 *	cc -O2 -o io_uring io_uring.c && ./io_uring [each]
 *
 * Without an argument each connection has a receive and a buffer of its own.
 * With "each" a multishot receive per connection takes buffers from a ring that
 * all share (Linux 6.0), and they are sent back from where they lie.
 */
#include "shared.h"

#define BUFFER_SIZE (16 << 10)

enum op { ACCEPT, INPUT, CLOSE, RECV, SEND, EACH_RECV, EACH_SEND };

/* conn is a connection, at the index of its descriptor. */
struct conn {
	unsigned len, sent; /* of the chunk that is being sent */
	bool more;          /* the socket had more than the receive took */

	/* Of "each" only: */
	uint16_t first, last; /* received chunks that wait to be sent, by buffer */
	bool receiving;       /* the multishot receive is armed */
	bool starved;         /* it isn't, for want of buffers: on that list */
	bool ended;           /* nothing more to receive: close when all is sent */
	int next_starved;
};

static struct ring ring;
static struct conn *conns;
static char *buffers; /* the connections' own, unless each */
static int listener;
static bool each, accept_waits;
static struct shared shared;
static int starved_first = -1, starved_last = -1;

/*
 * user_data names the connection of a completion without doubt: a descriptor is
 * closed only when none of its operations is under way.
 */
static __u64 user_data(int fd, enum op op)
{
	return (__u64)fd << 8 | op;
}

static void submit_accept(void)
{
	*ring_sqe(&ring) = (struct io_uring_sqe){
		.opcode = IORING_OP_ACCEPT,
		.ioprio = ring.multishot ? IORING_ACCEPT_MULTISHOT : 0,
		.fd = listener,
		.accept_flags = SOCK_CLOEXEC,
		.user_data = user_data(listener, ACCEPT),
	};
}

static void submit_input(void)
{
	static char ignored[256];

	*ring_sqe(&ring) = (struct io_uring_sqe){
		.opcode = IORING_OP_READ,
		.fd = STDIN_FILENO,
		.addr = (uintptr_t)ignored,
		.len = sizeof(ignored),
		.off = -1ULL,
		.user_data = user_data(STDIN_FILENO, INPUT),
	};
}

static void submit_close(int fd)
{
	*ring_sqe(&ring) = (struct io_uring_sqe){
		.opcode = IORING_OP_CLOSE,
		.fd = fd,
		.user_data = user_data(fd, CLOSE),
	};
}

static void on_closed(void)
{
	if (accept_waits) {
		accept_waits = false;
		submit_accept();
	}
}

/* The connections' own buffers: a receive, its sends, the next receive. */

static char *buffer_of(int fd)
{
	return buffers + (size_t)fd * BUFFER_SIZE;
}

/* POLL_FIRST spares a try that finds nothing: the next request isn't here yet. */
static void submit_recv(int fd)
{
	bool poll_first = ring.multishot && !conns[fd].more;

	*ring_sqe(&ring) = (struct io_uring_sqe){
		.opcode = IORING_OP_RECV,
		.ioprio = poll_first ? IORING_RECVSEND_POLL_FIRST : 0,
		.fd = fd,
		.addr = (uintptr_t)buffer_of(fd),
		.len = BUFFER_SIZE,
		.user_data = user_data(fd, RECV),
	};
}

/* MSG_WAITALL has the kernel go on after a partial send (since 5.19). */
static void submit_send(int fd, enum op op, const char *data, unsigned len)
{
	*ring_sqe(&ring) = (struct io_uring_sqe){
		.opcode = IORING_OP_SEND,
		.fd = fd,
		.addr = (uintptr_t)data,
		.len = len,
		.msg_flags = MSG_WAITALL | MSG_NOSIGNAL,
		.user_data = user_data(fd, op),
	};
}

static void on_received(int fd, int res, unsigned flags)
{
	struct conn *c = &conns[fd];

	if (res == -EINTR || res == -EAGAIN) {
		submit_recv(fd);
		return;
	}
	if (res <= 0) {
		submit_close(fd);
		return;
	}
	c->len = (unsigned)res;
	c->sent = 0;
	c->more = flags & IORING_CQE_F_SOCK_NONEMPTY;
	submit_send(fd, SEND, buffer_of(fd), (unsigned)res);
}

/* sent counts a send, and says whether some of the chunk is left to send. */
static bool sent(struct conn *c, int res)
{
	if (res > 0)
		c->sent += (unsigned)res;
	return c->sent < c->len;
}

static bool send_failed(int res)
{
	return res < 0 && res != -EINTR && res != -EAGAIN;
}

static void on_sent(int fd, int res)
{
	struct conn *c = &conns[fd];

	if (send_failed(res))
		submit_close(fd);
	else if (sent(c, res))
		submit_send(fd, SEND, buffer_of(fd) + c->sent, c->len - c->sent);
	else
		submit_recv(fd);
}

/* The shared buffers: receives go on while chunks are sent, one at a time. */

static void submit_each(int fd)
{
	conns[fd].receiving = true;
	*ring_sqe(&ring) = (struct io_uring_sqe){
		.opcode = IORING_OP_RECV,
		.ioprio = IORING_RECV_MULTISHOT,
		.flags = IOSQE_BUFFER_SELECT,
		.fd = fd,
		.user_data = user_data(fd, EACH_RECV),
	};
}

/* starve queues a connection whose receive found no buffer. */
static void starve(int fd)
{
	conns[fd].starved = true;
	conns[fd].next_starved = -1;
	if (starved_first < 0)
		starved_first = fd;
	else
		conns[starved_last].next_starved = fd;
	starved_last = fd;
}

/* retire closes a connection once nothing refers to it. */
static void retire(int fd)
{
	struct conn *c = &conns[fd];

	if (c->ended && !c->receiving && !c->starved && c->first == NONE)
		submit_close(fd);
}

/*
 * feed arms as many starved receives as there are buffers: more would only starve
 * again, and keep the loop busy.
 */
static void feed(void)
{
	for (unsigned n = shared.available; n > 0 && starved_first >= 0; n--) {
		int fd = starved_first;

		starved_first = conns[fd].next_starved;
		conns[fd].starved = false;
		if (conns[fd].ended)
			retire(fd);
		else
			submit_each(fd);
	}
}

static void send_first(int fd)
{
	struct conn *c = &conns[fd];

	c->len = shared.chunks[c->first].len;
	c->sent = 0;
	submit_send(fd, EACH_SEND, shared_at(&shared, c->first), c->len);
}

static void queue_chunk(int fd, uint16_t id, unsigned len)
{
	struct conn *c = &conns[fd];

	shared.available--;
	shared.chunks[id] = (struct chunk){.len = len, .next = NONE};
	if (c->first == NONE) {
		c->first = c->last = id;
		send_first(fd);
		return;
	}
	shared.chunks[c->last].next = id;
	c->last = id;
}

static void drop_first(struct conn *c)
{
	uint16_t id = c->first;

	c->first = shared.chunks[id].next;
	shared.available++;
	shared_give(&shared, id);
}

static void on_each_received(int fd, int res, unsigned flags)
{
	struct conn *c = &conns[fd];
	uint16_t id = flags >> IORING_CQE_BUFFER_SHIFT;

	c->receiving = flags & IORING_CQE_F_MORE;
	if (res > 0 && !c->ended)
		queue_chunk(fd, id, (unsigned)res);
	else if (flags & IORING_CQE_F_BUFFER)
		shared_give(&shared, id);
	if (res == -EINVAL)
		die(EINVAL, "receive with multishot, which needs Linux 6.0");
	if (c->receiving)
		return;
	if (res == -ENOBUFS && !c->ended)
		starve(fd);
	else if (res <= 0 || c->ended)
		c->ended = true;
	else
		submit_each(fd);
	retire(fd);
}

static void on_each_sent(int fd, int res)
{
	struct conn *c = &conns[fd];

	if (send_failed(res)) {
		c->ended = true;
		while (c->first != NONE)
			drop_first(c);
		shutdown(fd, SHUT_RDWR); /* ends the receive, too */
	} else if (sent(c, res)) {
		submit_send(fd, EACH_SEND, shared_at(&shared, c->first) + c->sent, c->len - c->sent);
	} else {
		drop_first(c);
		if (c->first != NONE)
			send_first(fd);
	}
	retire(fd);
}

static void on_accepted(int res, unsigned flags)
{
	if (res >= 0 && each) {
		conns[res] = (struct conn){.first = NONE};
		submit_each(res);
	} else if (res >= 0) {
		conns[res].more = true; /* or so it may be */
		submit_recv(res);
	} else if (out_of_files(-res)) {
		accept_waits = true; /* for a connection to close */
		return;
	} else if (!accept_again(-res)) {
		die(-res, "accept");
	}
	if (!(flags & IORING_CQE_F_MORE))
		submit_accept();
}

static void complete(const struct io_uring_cqe *e)
{
	int fd = (int)(e->user_data >> 8);

	switch ((enum op)(e->user_data & 0xff)) {
	case RECV:
		on_received(fd, e->res, e->flags);
		break;
	case SEND:
		on_sent(fd, e->res);
		break;
	case EACH_RECV:
		on_each_received(fd, e->res, e->flags);
		break;
	case EACH_SEND:
		on_each_sent(fd, e->res);
		break;
	case ACCEPT:
		on_accepted(e->res, e->flags);
		break;
	case CLOSE:
		on_closed();
		break;
	case INPUT:
		if (e->res <= 0)
			exit(0);
		submit_input();
		break;
	}
}

int main(int argc, char **argv)
{
	int files = raise_limit();

	each = argc > 1 && strcmp(argv[1], "each") == 0;
	conns = reserve((size_t)files * sizeof(*conns));
	ring_init(&ring);
	if (each)
		shared_init(&shared, &ring);
	else
		buffers = reserve((size_t)files * BUFFER_SIZE);
	listener = listen_loopback(0);
	submit_accept();
	submit_input();
	for (;;) {
		struct io_uring_cqe e;

		ring_enter(&ring, 1);
		for (unsigned end = ring_end(&ring); ring_next(&ring, end, &e);)
			complete(&e);
		if (each) {
			feed();
			shared_publish(&shared);
		}
	}
}
