package proactor_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// patience is how long a test waits for an event that must come.
const patience = 60 * time.Second

// echoEach echoes what a connection receives, copying nothing.
func echoEach(c *proactor.Conn, err error) {
	if err != nil {
		return
	}
	_ = c.RecvEach(func(b *proactor.Buffer, err error) {
		if err != nil {
			_ = c.Close(nil)
			return
		}
		_, _ = c.SendBuffer(b, nil)
	})
}

// group starts a group that serves, and returns its address and what Run returns.
func group(t *testing.T, o proactor.GroupOptions, each func(*proactor.Conn, error)) (*proactor.Group, string, chan error) {
	t.Helper()
	g, err := proactor.NewGroup(o)
	require.NoError(t, err)
	addr, err := g.Serve("tcp", "127.0.0.1:0", each)
	require.NoError(t, err)
	ran := make(chan error, 1)
	go func() { ran <- g.Run(context.Background()) }()
	t.Cleanup(func() { require.NoError(t, g.Close()) })
	return g, addr.String(), ran
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return c
}

// pingPong sends pieces and checks their echo.
func pingPong(c net.Conn, rounds int) error {
	out, in := make([]byte, 3000), make([]byte, 3000)
	_, _ = rand.Read(out)
	for range rounds {
		if _, err := c.Write(out); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, in); err != nil {
			return err
		}
		if !bytes.Equal(in, out) {
			return errors.New("wrong bytes")
		}
	}
	return nil
}

func TestConnectionsLandOnAllLoops(t *testing.T) {
	for name, o := range map[string]proactor.GroupOptions{
		"reuseport": {Loops: 3}, "dealt": {Loops: 3, Deal: true}, "pinned": {Loops: 2, Pin: true},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			on := map[*proactor.Loop]int{}
			g, addr, _ := group(t, o, func(c *proactor.Conn, err error) {
				if err == nil {
					mu.Lock()
					on[c.Loop()]++
					mu.Unlock()
				}
				echoEach(c, err)
			})
			var wg sync.WaitGroup
			for range 64 {
				c := dial(t, addr)
				wg.Go(func() { require.NoError(t, pingPong(c, 20)) })
			}
			wg.Wait()
			mu.Lock()
			defer mu.Unlock()
			require.Len(t, on, len(g.Loops()), "64 connections: %v", on)
		})
	}
}

func TestUnixConnectionsAreDealtOut(t *testing.T) {
	g, err := proactor.NewGroup(proactor.GroupOptions{Loops: 2})
	require.NoError(t, err)
	defer g.Close()
	on := make(chan *proactor.Loop, 2)
	addr, err := g.Serve("unix", "@proactor-group-test", func(c *proactor.Conn, err error) {
		if err == nil {
			on <- c.Loop()
		}
	})
	require.NoError(t, err)
	go g.Run(context.Background())
	for range 2 {
		c, err := net.Dial("unix", addr.String())
		require.NoError(t, err)
		defer c.Close()
	}
	require.NotSame(t, <-on, <-on)
}

// mover echoes, and moves its connection to another loop after some pieces.
type mover struct {
	c       *proactor.Conn
	to      func(*proactor.Loop) *proactor.Loop
	moves   *atomic.Int32
	refused *atomic.Int32

	pieces, out   int    // received; sends under way
	moving, ended bool   // Move has been asked for; RecvEach is over
	kept          []byte // came while it was
}

func (m *mover) serve(c *proactor.Conn) {
	m.c, m.pieces, m.moving, m.ended = c, 0, false, false
	m.sendKept()
	_ = c.RecvEach(m.received)
}

func (m *mover) received(b *proactor.Buffer, err error) {
	if m.ended = err != nil; m.ended {
		m.maybeClose()
		return
	}
	m.pieces++
	if m.moving {
		m.kept = append(m.kept, b.Bytes()...)
		b.Release()
		return
	}
	m.out++
	_, _ = m.c.SendBuffer(b, m.sent)
	if m.pieces == 5 {
		m.move() // in vain: a send is under way
	}
}

func (m *mover) sent(int, error) {
	if m.out--; m.out == 0 && m.pieces >= 5 && !m.moving && !m.ended {
		m.move()
	}
	m.maybeClose()
}

func (m *mover) sendKept() {
	if len(m.kept) > 0 {
		m.out++
		_, _ = m.c.Send(m.kept, m.sent)
		m.kept = nil
	}
}

func (m *mover) maybeClose() {
	if m.ended && !m.moving && m.out == 0 {
		_ = m.c.Close(nil)
	}
}

func (m *mover) move() {
	m.moving = true
	pending := m.out > 0
	_ = m.c.Move(m.to(m.c.Loop()), func(c *proactor.Conn, err error) {
		switch {
		case pending && !errors.Is(err, proactor.ErrPending):
			panic("moved with a send under way")
		case pending:
			m.refused.Add(1)
			m.moving = false
			m.sendKept()
			if m.out == 0 && !m.ended {
				m.move()
			}
			m.maybeClose()
		case err == nil:
			m.moves.Add(1)
			m.serve(c)
		}
	})
}

// A connection is moved to and fro while its peer sends without a pause: no byte
// is lost, doubled or out of order.
func TestMoveUnderLoad(t *testing.T) {
	var g *proactor.Group
	var moves, refused atomic.Int32
	ready := make(chan struct{})
	to := func(from *proactor.Loop) *proactor.Loop {
		if from == g.Loops()[0] {
			return g.Loops()[1]
		}
		return g.Loops()[0]
	}
	g, addr, _ := group(t, proactor.GroupOptions{Loops: 2}, func(c *proactor.Conn, err error) {
		if err == nil {
			<-ready
			(&mover{to: to, moves: &moves, refused: &refused}).serve(c)
		}
	})
	close(ready)
	var wg sync.WaitGroup
	for range 4 {
		c := dial(t, addr)
		wg.Go(func() { require.NoError(t, pingPong(c, 300)) })
	}
	wg.Wait()
	require.Greater(t, moves.Load(), int32(20))
	require.Greater(t, refused.Load(), int32(20))
	_ = g
}

func TestPostReachesTheConnectionsLoop(t *testing.T) {
	conns := make(chan *proactor.Conn, 8)
	_, addr, _ := group(t, proactor.GroupOptions{Loops: 2, Deal: true}, func(c *proactor.Conn, err error) {
		if err == nil {
			conns <- c
		}
	})
	for range 8 {
		peer := dial(t, addr)
		c := <-conns
		require.NoError(t, c.Post(func() { _, _ = c.Send([]byte("posted"), nil) }))
		b := make([]byte, 6)
		_, err := io.ReadFull(peer, b)
		require.NoError(t, err)
		require.Equal(t, "posted", string(b))
	}
}

func TestShutdownClosesTheIdleWaitsForTheBusyAndCutsTheStuck(t *testing.T) {
	conns := make(chan *proactor.Conn, 3)
	g, addr, ran := group(t, proactor.GroupOptions{Loops: 2}, func(c *proactor.Conn, err error) {
		if err == nil {
			conns <- c
		}
	})
	idle := dial(t, addr)
	echoEach(<-conns, nil)
	require.NoError(t, pingPong(idle, 1))

	busy := dial(t, addr)
	busyConn := <-conns
	busyConn.Busy(1)

	stuck := dial(t, addr) // its peer never reads
	stuckConn := <-conns
	_, err := stuckConn.Send(make([]byte, 64<<20), nil)
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(context.Background())
	type outcome struct {
		r   proactor.Report
		err error
	}
	ended := make(chan outcome, 1)
	go func() {
		r, err := g.Shutdown(ctx)
		ended <- outcome{r, err}
	}()
	_, err = idle.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err, "the idle connection is closed in order")
	_, err = net.Dial("tcp", addr)
	require.Error(t, err, "nothing is accepted any more")

	require.NoError(t, busyConn.Post(func() {
		_, _ = busyConn.Send([]byte("finished"), func(int, error) { busyConn.Busy(-1) })
	}))
	b, err := io.ReadAll(busy)
	require.NoError(t, err)
	require.Equal(t, "finished", string(b), "the busy connection finishes")

	select {
	case <-ended:
		t.Fatal("Shutdown didn't wait for the stuck connection")
	default:
	}
	cancel()
	x := <-ended
	require.NoError(t, x.err)
	require.Equal(t, 2, x.r.Closed)
	require.Equal(t, 1, x.r.Cut)
	require.Len(t, x.r.Peers, 1)
	require.Equal(t, stuck.LocalAddr().String(), x.r.Peers[0].String())
	require.NoError(t, <-ran)
}

func TestAPanicInOneLoopComesOutOfRunAndEndsTheOthers(t *testing.T) {
	g, err := proactor.NewGroup(proactor.GroupOptions{Loops: 3})
	require.NoError(t, err)
	require.NoError(t, g.Loops()[1].Post(func() { panic("on purpose") }))
	func() {
		defer func() {
			var p *proactor.Panic
			require.ErrorAs(t, recover().(error), &p)
			require.Equal(t, "on purpose", p.Value)
			require.Contains(t, string(p.Stack), "group_linux_test.go")
		}()
		_ = g.Run(context.Background())
	}()
	require.NoError(t, g.Close())
	require.ErrorIs(t, g.Loops()[0].Post(func() {}), net.ErrClosed)
}

func TestAGoexitInOneLoopEndsTheGroup(t *testing.T) {
	g, err := proactor.NewGroup(proactor.GroupOptions{Loops: 2})
	require.NoError(t, err)
	require.NoError(t, g.Loops()[0].Post(runtime.Goexit))
	require.NoError(t, g.Run(context.Background()))
	require.NoError(t, g.Close())
}

func TestCallbacksOfTwoLoopsMayCloseTheGroup(t *testing.T) {
	g, err := proactor.NewGroup(proactor.GroupOptions{Loops: 2})
	require.NoError(t, err)
	var both sync.WaitGroup
	both.Add(2)
	for _, l := range g.Loops() {
		require.NoError(t, l.Post(func() {
			both.Done()
			both.Wait()
			require.NoError(t, g.Close())
		}))
	}
	require.NoError(t, g.Run(context.Background()))
}

func TestAShutdownHeedsItsContextWhenACallbackBlocks(t *testing.T) {
	g, _, ran := group(t, proactor.GroupOptions{Loops: 1}, echoEach)
	blocked, free := make(chan struct{}), make(chan struct{})
	require.NoError(t, g.Loops()[0].Post(func() { close(blocked); <-free }))
	<-blocked
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := g.Shutdown(ctx)
	require.Error(t, err)
	close(free)
	<-ran
}

// A connection isn't idle while a send to it is on its way to the loop. If its peer
// takes nothing it is cut off.
func TestAShutdownCountsAConnectionOnce(t *testing.T) {
	g, err := proactor.NewGroup(proactor.GroupOptions{Loops: 1})
	require.NoError(t, err)
	ran := make(chan error, 1)
	go func() { ran <- g.Run(context.Background()) }()
	l := g.Loops()[0]
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fds[1])
	c, err := l.NewConn(fds[0])
	require.NoError(t, err)
	blocked, free := make(chan struct{}), make(chan struct{})
	require.NoError(t, l.Post(func() { close(blocked); <-free }))
	<-blocked
	require.NoError(t, l.Post(func() { _, _ = c.Send(make([]byte, 8<<20), nil) }))
	ctx, cancel := context.WithCancel(context.Background())
	report := make(chan proactor.Report, 1)
	go func() {
		r, _ := g.Shutdown(ctx)
		report <- r
	}()
	require.Eventually(t, func() bool { return l.Stats().Posts == 2 }, patience, time.Millisecond)
	close(free) // the send, and then the look for idle connections, of which it is none
	require.Eventually(t, func() bool { return l.Stats().Posts == 0 }, patience, time.Millisecond)
	require.False(t, c.State().Closing())
	cancel()
	r := got(t, report)
	require.Equal(t, []int{0, 1}, []int{r.Closed, r.Cut})
	require.NoError(t, got(t, ran))
}
