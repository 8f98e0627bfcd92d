package proactor_test

import (
	"context"
	"fmt"
	"runtime"
	"runtime/metrics"
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

// BenchmarkStopTheWorld tells how long a stop of the world, as the garbage collector
// needs it, waits for a busy loop: us-stopping/op.
func BenchmarkStopTheWorld(b *testing.B) {
	onEngines(b, func(b *testing.B, l *proactor.Loop) {
		busyConns(b, l, 64)
		ran := make(chan error, 1)
		go func() { ran <- l.Run(context.Background()) }()
		sample := []metrics.Sample{{Name: "/sched/pauses/stopping/other:seconds"}}
		metrics.Read(sample)
		before := total(sample[0].Value.Float64Histogram())
		var m runtime.MemStats
		for b.Loop() {
			runtime.ReadMemStats(&m) // stops the world
		}
		metrics.Read(sample)
		b.ReportMetric((total(sample[0].Value.Float64Histogram())-before)*1e6/float64(b.N), "us-stopping/op")
		_ = l.Close()
		<-ran
	})
}

// total is the sum of a histogram's values, each taken for the end of its bucket.
func total(h *metrics.Float64Histogram) (sum float64) {
	for i, n := range h.Counts {
		if n > 0 {
			sum += float64(n) * h.Buckets[i+1]
		}
	}
	return sum
}

// busyConns keeps n pairs of connections busy with 64 bytes to and fro.
func busyConns(b *testing.B, l *proactor.Loop, n int) {
	for range n {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			b.Fatal(err)
		}
		for _, fd := range fds {
			c, err := l.NewConn(fd)
			if err != nil {
				b.Fatal(err)
			}
			err = c.RecvEach(func(p *proactor.Buffer, err error) {
				if err == nil {
					_, _ = c.SendBuffer(p, nil)
				}
			})
			if err != nil {
				b.Fatal(err)
			}
			if fd == fds[0] {
				_, _ = c.Send(make([]byte, 64), nil)
			}
		}
	}
}
