package proactor

import "github.com/seed-2ff0fea0/go-proactor/proactor/op"

// letBegin lets a worker, or one of the kernel's, begin with an operation that was given
// to it when no other had any, if all have one processor: the disk then works while the
// loop goes on, and not after it. With some at work it doesn't stand still, and to step
// aside for each of many reads costs a quarter of them. On epoll one read with O_DIRECT
// after the other then takes 35 us instead of 150, and half of the CPU; a server with an
// append-only log takes 1.2 times the requests with a GOMAXPROCS of 1
// (bench/results/2026-11-28/places.txt).
//
// Beside a goroutine that computes, the loop would have its next turn when that has had
// its own, 10 ms and more: not in such company.
func (l *Loop) letBegin(more bool) {
	if l.delegator != nil && l.delegator.LetBegin(more) && !l.crowded {
		l.yield()
	}
}

// byWorker reports whether an operation is a file's, which workers execute on epoll.
func byWorker(o *op.Op) bool { return o.Code().Info().Way == op.ByWorker }
