// Package fallback is the epoll engine: an op.Engine that keeps the contract of
// a proactor where io_uring is missing or forbidden. Programs use it through
// package proactor.
//
// An operation on a socket or pipe is tried first; after EAGAIN it waits for an
// edge. A descriptor is registered once, at its first wait, edge-triggered for
// both directions, until it is closed: no epoll_ctl for each operation. Of each
// line of a handle the loop starts one operation at a time, so who waits is the
// line's head. What has no readiness (files, and devices that epoll refuses)
// goes to a bounded pool of workers, except for reads that the page cache holds, opens by
// openat2(2) with O_NONBLOCK of names that the kernel has in its cache, and what a disk does
// on its own: reads and writes with O_DIRECT.
//
//   - engine: start, poll, wait, cancel.
//   - ready: try first, then wait for the edge.
//   - watch: epoll's table of descriptors, by index and generation.
//   - aio: O_DIRECT by io_submit(2).
package fallback
