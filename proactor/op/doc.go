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
//   - workers_linux.go: the pool for calls that block.
//   - op/optest: the conformance suite that every engine passes.
package op
