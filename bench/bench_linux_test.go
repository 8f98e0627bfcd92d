package main

import (
	"runtime"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/bench/internal/lab"
)

// BenchmarkEcho is the core of the program's scenarios in the form that benchstat
// compares: an op is a request, and us-cpu/op what it costs the server, which is a
// process of its own with one core. The load is another core's, if there are two.
func BenchmarkEcho(b *testing.B) {
	for _, sc := range scenarios {
		switch sc.name {
		case "small", "many", "large":
			for _, arm := range servers {
				b.Run(sc.name+"/"+arm, func(b *testing.B) { benchmarkEcho(b, arm, sc.load) })
			}
		}
	}
}

func benchmarkEcho(b *testing.B, arm string, l load) {
	if err := unavailable(arm, l); err != nil {
		b.Skip(err)
	}
	runtime.LockOSThread() // never unlocked: a child dies with the thread that started it
	c, err := start(l.server(arm), lab.ServerCore, 1)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := c.end(&figures{}); err != nil {
			b.Error(err)
		}
	}()
	gens, err := l.open(1, c.addr)
	if err != nil {
		b.Fatal(err)
	}
	defer gens.close()
	before := lab.CPUTime(c.cmd.Process.Pid)
	b.ResetTimer()
	gens.post(func(g *generator) {
		lab.Pin(lab.LoadCore)
		g.limit = b.N
		g.begin()
	})
	select {
	case <-gens.all[0].drained:
	case err := <-gens.ended:
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(us(lab.CPUTime(c.cmd.Process.Pid)-before)/float64(b.N), "us-cpu/op")
	if err := gens.drain(); err != nil {
		b.Fatal(err)
	}
}
