// Package ring is the io_uring engine: an op.Engine, made by New. Programs use
// it through package proactor.
//
// There is a file for each thing:
//
//   - uapi: the kernel's structures and numbers.
//   - rings_sys, rings_giouring: the seam. Two implementations of one small type,
//     the mapped rings; the build tag giouring chooses the second.
//   - setup: the flags to ask for, the fall to older kernels and smaller queues,
//     and the reasons for a refusal.
//   - probe: a proof on a throw-away ring that it works here, and which opcodes.
//   - features: what such a ring can do, for programs that tell about it.
//   - slots: the operations that the kernel has, by index and generation.
//   - encode: an operation as a submission queue entry.
//   - engine: submit, complete, cancel, wake.
//   - deliver: what a completion brings.
//   - wait: poll, sleep, reap.
//   - emulate: what the kernel lacks.
//   - bufring, memory: provided buffers, registered memory.
//
// How the loop drives it is in proactor/driver.go.
package ring
