// Package op is the vocabulary that the loop and its engines share: the
// operation (Op) and its verbs, the one table of operation codes, handles,
// results and errors, socket addresses, and the Engine interface.
//
// Programs use it through package proactor, which re-exports what a caller
// needs; its documentation has the contract. Engines use the rest:
//
//   - code.go: the table. A new operation starts here.
//   - verbs.go: how a caller prepares each operation.
//   - attempt_linux.go: each operation as a plain system call. The epoll engine
//     runs on it, and a ring whose kernel lacks an opcode does.
//   - message.go, control.go: what operations on messages take.
//   - files.go, flagged.go, attributes.go, copy.go: what operations on files take.
//   - moving.go, moving_linux.go: pipes, and operations that move data within the kernel.
//   - workers_linux.go: the pool for calls that block.
//   - op/optest: the conformance suite that every engine passes.
//
// # Operations
//
// Of each: since which kernel io_uring executes it, and how it is executed on the
// epoll engine, and on a ring whose kernel is older. What has no opcode (-) goes
// that way on every ring. Every operation is there on every kernel, but for the one that the
// table says so of. A message socket's queued sends leave together by sendmmsg(2), on a
// ring too. Reads and writes with O_DIRECT go by io_submit(2) on the epoll engine, and
// are a worker's only if the kernel refuses them or PROACTOR_AIO=off.
//
//	operation         man page                  io_uring  elsewhere
//	nop               io_uring_prep_nop(3)      5.1       a system call
//	accept            accept4(2)                5.5       tried, then readiness
//	connect           connect(2)                5.5       tried, then readiness
//	recv              recv(2)                   5.6       tried, then readiness
//	recvv             recvmsg(2)                5.3       tried, then readiness
//	send              send(2)                   5.6       tried, then readiness
//	sendv             sendmsg(2)                5.3       tried, then readiness
//	shutdown          shutdown(2)               5.11      a system call
//	close             close(2)                  5.6       a worker; sockets and pipes: a system call
//	read              pread(2)                  5.6       tried in the page cache, then a worker
//	readv             preadv(2)                 5.1       tried in the page cache, then a worker
//	write             pwrite(2)                 5.6       a worker
//	writev            pwritev(2)                5.1       a worker
//	fsync             fsync(2)                  5.1       a worker
//	fdatasync         fdatasync(2)              5.1       a worker
//	openat            openat(2)                 5.6       a worker
//	poll              poll(2)                   5.1       readiness
//	timeout           clock_gettime(2)          -         the loop itself
//	cancel            io_uring_prep_cancel(3)   -         the loop itself
//	accept each       accept4(2)                5.19      tried, then readiness
//	recv each         recv(2)                   6.0       tried, then readiness
//	recvmsg           recvmsg(2)                5.3       tried, then readiness
//	sendmsg           sendmsg(2)                5.3       tried, then readiness
//	recvmsg each      recvmmsg(2)               6.0       tried, then readiness
//	sendmmsg          sendmmsg(2)               -         tried, then readiness
//	statx             statx(2)                  5.6       a worker
//	openat2           openat2(2)                5.6       a worker; with O_NONBLOCK tried in the cache of names
//	unlinkat          unlinkat(2)               5.11      a worker
//	renameat2         renameat2(2)              5.11      a worker
//	mkdirat           mkdirat(2)                5.15      a worker
//	linkat            linkat(2)                 5.15      a worker
//	symlinkat         symlinkat(2)              5.15      a worker
//	ftruncate         ftruncate(2)              6.9       a worker
//	fallocate         fallocate(2)              5.6       a worker
//	fadvise           posix_fadvise(2)          5.6       a worker
//	sync_file_range   sync_file_range(2)        5.2       a worker
//	work              -                         -         a worker
//	madvise           madvise(2)                5.6       a worker
//	getxattr          getxattr(2)               5.19      a worker
//	setxattr          setxattr(2)               5.19      a worker
//	listxattr         listxattr(2)              -         a worker
//	removexattr       removexattr(2)            -         a worker
//	preadv2           preadv2(2)                5.1       a worker
//	pwritev2          pwritev2(2)               5.1       a worker
//	getdents64        getdents64(2)             -         a worker
//	copy_file_range   copy_file_range(2)        -         a worker
//	sendfile          sendfile(2)               -         tried, then readiness; a worker reads what the page cache hasn't
//	splice in         splice(2)                 -         tried, then readiness
//	splice out        splice(2)                 -         tried, then readiness
//	tee               tee(2)                    -         a system call
//	send_zc           io_uring_prep_send_zc(3)  6.0       tried, then readiness
//	waitid            waitid(2)                 6.7       tried, then readiness
//	futex wait        futex(2)                  6.7       not at all: Loop.Supports tells
//	futex wake        futex(2)                  6.7       a system call
//
// The table is generated: go test ./proactor/op -update.
package op
