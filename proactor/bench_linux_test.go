package proactor_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"golang.org/x/sys/unix"
)

// onEngines runs a benchmark on each engine that there is.
func onEngines(b *testing.B, f func(*testing.B, *proactor.Loop)) {
	for _, name := range []string{"io_uring", "epoll"} {
		b.Run(name, func(b *testing.B) {
			l, err := proactor.New(proactor.WithEngineName(name))
			if err != nil {
				b.Skip(err)
			}
			f(b, l)
		})
	}
}

// BenchmarkNop is the way of an operation through loop and engine, and back.
func BenchmarkNop(b *testing.B) {
	for _, batch := range []int{1, 32} {
		b.Run(fmt.Sprint("batch=", batch), func(b *testing.B) {
			onEngines(b, func(b *testing.B, l *proactor.Loop) {
				left := b.N
				ops := make([]proactor.Op, batch)
				for i := range ops {
					ops[i].Done = func(o *proactor.Op) {
						if left--; left > 0 {
							_, _ = l.Submit(o.Nop())
						} else {
							_ = l.Close()
						}
					}
					_, _ = l.Submit(ops[i].Nop())
				}
				b.ReportAllocs()
				b.ResetTimer()
				_ = l.Run(context.Background())
			})
		})
	}
}

// BenchmarkRoundTrip is a send and a receive of 64 bytes between two connections
// of the same loop.
func BenchmarkRoundTrip(b *testing.B) {
	onEngines(b, func(b *testing.B, l *proactor.Loop) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			b.Fatal(err)
		}
		from, _ := l.NewConn(fds[0])
		to, _ := l.NewConn(fds[1])
		var rd, wr proactor.Op
		out, in := make([]byte, 64), make([]byte, 64)
		left := b.N
		wr.Done = func(*proactor.Op) {}
		rd.Done = func(*proactor.Op) {
			if left--; left <= 0 {
				_ = l.Close()
				return
			}
			_, _ = l.Submit(rd.Recv(to, in))
			_, _ = l.Submit(wr.Send(from, out))
		}
		_, _ = l.Submit(rd.Recv(to, in))
		_, _ = l.Submit(wr.Send(from, out))
		b.ReportAllocs()
		b.ResetTimer()
		_ = l.Run(context.Background())
	})
}
