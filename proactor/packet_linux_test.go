package proactor_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op/optest"
	"github.com/stretchr/testify/require"
)

// echoing returns the address of a socket that sends datagrams back.
func echoing(t *testing.T, l *proactor.Loop) *net.UDPAddr {
	t.Helper()
	c, err := l.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, c.RecvEach(func(b *proactor.Buffer, err error) {
		if err == nil {
			_, _ = c.SendBuffer(b, nil)
		}
	}))
	return c.LocalAddr().(*net.UDPAddr)
}

// A burst is 64 datagrams at once: what the smallest receive buffer has room for.
func TestABurstToAndFromPackageNet(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		peer, err := net.DialUDP("udp", nil, echoing(t, l))
		require.NoError(t, err)
		defer peer.Close()
		require.NoError(t, peer.SetDeadline(time.Now().Add(time.Minute)))
		buf := make([]byte, 2000)
		for burst := range 200 {
			size := 8 + burst*5
			for i := range 64 {
				b := make([]byte, size)
				binary.LittleEndian.PutUint64(b, uint64(burst)<<32|uint64(i))
				_, err := peer.Write(b)
				require.NoError(t, err)
			}
			for i := range 64 {
				n, err := peer.Read(buf)
				require.NoError(t, err)
				require.Equal(t, size, n)
				require.Equal(t, uint64(burst)<<32|uint64(i), binary.LittleEndian.Uint64(buf))
			}
		}
	})
}

func TestABurstToAndFromNetcat(t *testing.T) {
	nc, err := exec.LookPath("nc")
	if err != nil {
		t.Skip("no nc here")
	}
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		at := echoing(t, l)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, nc, "-u", at.IP.String(), fmt.Sprint(at.Port))
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		buf := make([]byte, 1<<16)
		for i := range 100 {
			line := append(bytes.Repeat([]byte{'a' + byte(i%26)}, 10*i), '\n')
			_, err := in.Write(line)
			require.NoError(t, err)
			for rest := line; len(rest) > 0; {
				n, err := out.Read(buf)
				require.NoError(t, err)
				require.Equal(t, string(rest[:n]), string(buf[:n]))
				rest = rest[n:]
			}
		}
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // killed: it would wait for an end of its input, and of the datagrams
	})
}

func TestAdoptPacketConnTakesTheSocketOver(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		before := optest.Descriptors()
		theirs, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		require.NoError(t, err)
		at := theirs.LocalAddr()
		peer, err := net.Dial("udp", at.String())
		require.NoError(t, err)
		defer peer.Close()
		require.NoError(t, peer.SetDeadline(time.Now().Add(patience)))
		_, err = peer.Write([]byte("before"))
		require.NoError(t, err)
		c, err := l.AdoptPacketConn(theirs)
		require.NoError(t, err)
		require.Equal(t, at.String(), c.LocalAddr().String())
		_, err = theirs.Write(nil)
		require.ErrorIs(t, err, net.ErrClosed)
		from := make(chan netip.AddrPort, 9)
		require.NoError(t, c.RecvEach(func(b *proactor.Buffer, err error) {
			if err == nil {
				from <- b.From()
				_, _ = c.SendBuffer(b, nil)
			}
		}))
		buf := make([]byte, 99)
		n, err := peer.Read(buf)
		require.NoError(t, err)
		require.Equal(t, "before", string(buf[:n]))
		require.Equal(t, peer.LocalAddr().String(), got(t, from).String())
		closed := make(chan error, 1)
		require.NoError(t, c.Close(func(err error) { closed <- err }))
		require.NoError(t, got(t, closed))
		peer.Close()
		sameFDs(t, before)
	})
}

func TestAdoptPacketConnLeavesWhatItRefuses(t *testing.T) {
	l := newLoop(t)
	for _, network := range []string{"tcp", "unixpacket", "unix"} {
		near, far := netPair(t, network, map[string]string{"tcp": "127.0.0.1:0"}[network])
		if c, ok := near.(net.PacketConn); ok {
			_, err := l.AdoptPacketConn(c)
			require.ErrorIs(t, err, errors.ErrUnsupported)
		}
		_, err := near.Write([]byte("x"))
		require.NoError(t, err)
		n, err := far.Read(make([]byte, 9))
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
}

func TestWhatNeedsACallbackSaysSo(t *testing.T) {
	l := newLoop(t)
	ln, err := l.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c, err := l.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	for name, f := range map[string]func(){
		"Dial":       func() { _, _ = l.Dial("tcp", "127.0.0.1:1", nil) },
		"Accept":     func() { _, _ = ln.Accept(nil) },
		"AcceptEach": func() { _ = ln.AcceptEach(nil) },
		"RecvFrom":   func() { _, _ = c.RecvFrom(nil, nil) },
		"RecvEach":   func() { _ = c.RecvEach(nil) },
		"SendMsg":    func() { _, _ = c.SendMsg(nil, nil) },
		"RecvMsg":    func() { _, _ = c.RecvMsg(nil, nil) },
	} {
		require.Panics(t, f, name)
	}
	require.Zero(t, l.Stats().Calls)
	require.NoError(t, c.SetMulticastInterface(nil))
}

func TestADatagramGoesWhereToSays(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		target, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		require.NoError(t, err)
		defer target.Close()
		require.NoError(t, target.SetDeadline(time.Now().Add(patience)))
		c, err := l.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, c.RecvEach(func(b *proactor.Buffer, err error) {
			if err == nil && b.To(target.LocalAddr().(*net.UDPAddr).AddrPort()) == nil {
				b.Skip(4)
				_, _ = c.SendBuffer(b, nil)
			}
		}))
		peer, err := net.Dial("udp", c.LocalAddr().String())
		require.NoError(t, err)
		defer peer.Close()
		_, err = peer.Write([]byte("see this"))
		require.NoError(t, err)
		buf := make([]byte, 99)
		n, err := target.Read(buf)
		require.NoError(t, err)
		require.Equal(t, "this", string(buf[:n]))
	})
}

func TestRightsAndCredentialsComeWithDatagrams(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		before := optest.Descriptors()
		c, err := l.ListenPacket("unixgram", filepath.Join(t.TempDir(), "s"))
		require.NoError(t, err)
		require.NoError(t, c.SetControl(proactor.Credentials|proactor.Rights))
		d, err := l.DialPacket("unixgram", c.LocalAddr().String())
		require.NoError(t, err)
		type seen struct {
			pid int
			fds []int
		}
		all := make(chan seen, 2)
		first := true
		require.NoError(t, c.RecvEach(func(b *proactor.Buffer, err error) {
			if err != nil {
				return
			}
			pid, _, _, _ := b.Control().Credentials()
			s := seen{pid: pid}
			if first { // the others are closed with the Buffer
				s.fds = b.Rights()
				first = false
			}
			b.Release()
			all <- s
		}))
		r, w, err := os.Pipe()
		require.NoError(t, err)
		for range 2 {
			m := &proactor.Message{Data: []byte("x"), Control: proactor.Control(nil).AppendRights(int(w.Fd()))}
			sent := make(chan error, 1)
			_, err = d.SendMsg(m, func(_ int, err error) { sent <- err })
			require.NoError(t, err)
			require.NoError(t, got(t, sent))
		}
		require.NoError(t, w.Close())
		s := got(t, all)
		require.Equal(t, os.Getpid(), s.pid)
		require.Len(t, s.fds, 1)
		f := os.NewFile(uintptr(s.fds[0]), "passed")
		_, err = f.WriteString("through")
		require.NoError(t, err)
		require.NoError(t, f.Close())
		require.Equal(t, os.Getpid(), got(t, all).pid)
		text, err := io.ReadAll(r) // ends when the one that wasn't taken is closed, too
		require.NoError(t, err)
		require.Equal(t, "through", string(text))
		require.NoError(t, r.Close())
		for _, p := range []*proactor.PacketConn{c, d} {
			closed := make(chan error, 1)
			require.NoError(t, p.Close(func(err error) { closed <- err }))
			require.NoError(t, got(t, closed))
		}
		sameFDs(t, before)
	})
}
