package main

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// peer is a client that is connected: the kernel gives it nothing from elsewhere. Any
// goroutine of a test may use one.
type peer struct {
	*net.UDPConn
	buf []byte
}

func connect(t *testing.T, addr string) *peer {
	c, err := net.Dial("udp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	return &peer{c.(*net.UDPConn), make([]byte, 1<<16)}
}

// local is a server's address over IPv4.
func local(s *server) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.addr().Port)) }

func noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

func (p *peer) send(t *testing.T, n int) []byte {
	b := noise(n)
	_, err := p.Write(b)
	assert.NoError(t, err)
	return b
}

func (p *peer) receive(t *testing.T, want []byte) {
	n, err := p.Read(p.buf)
	assert.NoError(t, err)
	assert.True(t, bytes.Equal(want, p.buf[:n]), "%d bytes came back as %d, or changed", len(want), n)
}

func (p *peer) exchange(t *testing.T, n int) { p.receive(t, p.send(t, n)) }

// sizes are the lengths of datagrams, up to the longest over IPv4.
var sizes = []int{0, 1, 2, 64, 1472, 1473, 9000, 16 << 10, 65507}

func TestEachDatagramComesBack(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
			for _, args := range [][]string{nil, {"-loops", "3"}, {"-gro"}} {
				s, stop := serve(t, engine, at, args...)
				var group sync.WaitGroup
				for range 8 {
					p := connect(t, s.addr().String())
					group.Go(func() {
						for _, n := range append(sizes, rand.IntN(65507)) {
							p.exchange(t, n)
						}
					})
				}
				group.Wait()
				all := stop()
				require.EqualValues(t, 8*(len(sizes)+1), all.echoed)
				require.Zero(t, all.tooLong+all.unsent)
			}
		}
	})
}

func TestTheLongestOverIPv6(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s, _ := serve(t, engine, "[::1]:0")
		connect(t, s.addr().String()).exchange(t, longest)
	})
}

// A client with one socket for several servers looks at the address.
func TestTheSourceIsTheServer(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
			a, _ := serve(t, engine, at)
			b, _ := serve(t, engine, at, "-loops", "2")
			c, err := net.ListenUDP("udp", &net.UDPAddr{IP: a.addr().IP})
			require.NoError(t, err)
			defer c.Close()
			require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
			buf := make([]byte, 100)
			for _, s := range []*server{a, b, b, a} {
				to := s.addr().AddrPort()
				_, err := c.WriteToUDPAddrPort([]byte(to.String()), to)
				require.NoError(t, err)
				n, from, err := c.ReadFromUDPAddrPort(buf)
				require.NoError(t, err)
				require.Equal(t, to, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
				require.Equal(t, to.String(), string(buf[:n]))
			}
		}
	})
}

// At a wildcard address the kernel would choose 127.0.0.1 for all of 127.0.0.0/8.
func TestAnswersLeaveFromWhereTheyWereAsked(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		for at, hosts := range map[string][]string{
			"0.0.0.0:0": {"127.0.0.1", "127.0.0.2", "127.3.2.1"},
			":0":        {"127.0.0.1", "127.0.0.2", "::1"},
		} {
			for _, args := range [][]string{nil, {"-gro"}} {
				s, _ := serve(t, engine, at, args...)
				_, port, err := net.SplitHostPort(s.addr().String())
				require.NoError(t, err)
				for _, host := range hosts {
					p := connect(t, net.JoinHostPort(host, port))
					for _, n := range sizes {
						p.exchange(t, n)
					}
				}
			}
		}
	})
}

func TestABurstComesBackInOrder(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s, _ := serve(t, engine, "127.0.0.1:0")
		p := connect(t, s.addr().String())
		for range 100 {
			var sent [][]byte
			for range 50 {
				sent = append(sent, p.send(t, []int{0, 100, 100, 100, 99, 1200}[rand.IntN(6)]))
			}
			for _, b := range sent {
				p.receive(t, b)
			}
		}
	})
}

// sendJoined sends b as datagrams of n bytes by one call.
func (p *peer) sendJoined(t *testing.T, b []byte, n int) {
	_, _, err := p.WriteMsgUDP(b, op.Control(nil).AppendSegmentSize(n), nil)
	require.NoError(t, err)
}

func TestWhatTheKernelPutsTogetherComesBackAsItWas(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		for _, at := range []string{"127.0.0.1:0", ":0"} {
			for _, cannot := range []int{0, 1} {
				s, stop := serve(t, engine, at, "-gro")
				// A socket that sends without checksums can't have datagrams cut.
				require.NoError(t, unix.SetsockoptInt(s.echoes[0].conn.FD(), unix.SOL_SOCKET, unix.SO_NO_CHECK, cannot))
				p := connect(t, local(s))
				b := noise(20*1000 + 7)
				p.sendJoined(t, b, 1000)
				for ; len(b) > 0; b = b[min(1000, len(b)):] {
					p.receive(t, b[:min(1000, len(b))])
				}
				all := stop()
				require.Equal(t, counts{echoed: 21, bytes: 20_007}, all)
				// As one, but on older kernels (5.10), whose loopback cuts them.
				require.Contains(t, []uint64{1, 21}, s.echoes[0].received)
			}
		}
	})
}

func TestWhatIsTooLongIsDropped(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		for _, args := range [][]string{nil, {"-gro"}} {
			s, stop := serve(t, engine, "127.0.0.1:0", append(args, "-size", "100")...)
			p := connect(t, s.addr().String())
			for _, n := range []int{101, 200, 5000} {
				p.send(t, n)
			}
			p.exchange(t, 100)
			require.Equal(t, counts{echoed: 1, bytes: 100, tooLong: 3}, stop())
		}
	})
}

func TestAClientThatIsGoneHarmsNoOther(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s, _ := serve(t, engine, "127.0.0.1:0")
		other := connect(t, s.addr().String())
		for range 50 {
			gone := connect(t, s.addr().String())
			gone.send(t, 100)
			require.NoError(t, gone.Close())
			other.exchange(t, 100)
		}
	})
}

// Port 0 can't be sent to; a raw socket can send from it.
func TestAnAnswerThatCannotBeSentIsCounted(t *testing.T) {
	raw, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		t.Skip("needs CAP_NET_RAW: ", err)
	}
	defer unix.Close(raw)
	harness.EachEngine(t, func(t *testing.T, engine string) {
		s, stop := serve(t, engine, "127.0.0.1:0")
		header := make([]byte, 8) // source port, destination port, length, no checksum
		binary.BigEndian.PutUint16(header[2:], uint16(s.addr().Port))
		binary.BigEndian.PutUint16(header[4:], uint16(len(header)+3))
		require.NoError(t, unix.Sendto(raw, append(header, "abc"...), 0, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		connect(t, s.addr().String()).exchange(t, 100)
		require.Equal(t, counts{echoed: 1, bytes: 100, unsent: 1}, stop())
	})
}

func TestADatagramAllocatesNothing(t *testing.T) {
	harness.EachEngine(t, func(t *testing.T, engine string) {
		for _, at := range []string{"127.0.0.1:0", "0.0.0.0:0", ":0"} {
			s, _ := serve(t, engine, at)
			p := connect(t, local(s))
			b, err := noise(64), error(nil)
			n := testing.AllocsPerRun(1000, func() {
				if _, err = p.Write(b); err == nil {
					_, err = p.Read(p.buf)
				}
			})
			require.NoError(t, err)
			require.Zero(t, n, at)
		}
	})
}
