package proactor_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
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
