//go:build linux

package optest

import (
	"errors"
	"path/filepath"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var rule13 = append([]test{
	{"Rule13_SocketsGiveTheSameResults", sameOf(socketCases)},
	{"Rule13_FilesGiveTheSameResults", sameOf(fileCases)},
	{"Rule13_PipesAndDevicesGiveTheSameResults", sameOf(streamCases)},
	{"Rule13_PollGivesTheSameResults", sameOf(pollCases)},
	{"Rule13_MessagesKeepTheirBounds", sameOf(packetCases)},
	{"Rule13_TheRestGivesTheSameResults", sameOf(otherCases)},
	{"Rule13_ADatagramSocketReceivesInOrder", datagramsInOrder},
	{"Rule13_AReceiveIntoSeveralBuffersFillsThemInOrder", vectorsInOrder},
	{"Rule13_APipeCarriesMoreThanItHolds", pipeCarriesMuch},
	{"Rule13_DirectReadsOfAnAlignedBuffer", directRead},
	{"Rule13_ErrorsUnwrapToErrnos", errorsUnwrap},
	{"Rule13_ARoundOverASocketAllocatesNothing", socketRoundAllocs},
	{"Rule13_SendingAFileAgainAllocatesNothing", sendFileAllocs},
	{"Rule13_AFileReadAllocatesNothing", fileReadAllocs},
	{"Rule13_ATimerAllocatesNothing", timerAllocs},
}, handleTests...)

// same is one small scenario and what both engines must make of it.
type same struct {
	name string
	do   func(*same13) *op.Op // prepares the operation, with what it needs
	n    int
	err  error
}

// same13 is what scenarios find ready-made.
type same13 struct {
	*env
	o op.Op
}

// sameOf is the test that each case has the result that the table says.
func sameOf(cases []same) func(*env) {
	return func(e *env) {
		e.start()
		for _, x := range cases {
			s := &same13{env: e}
			c := make(chan result, 1)
			s.o.Done = func(o *op.Op) {
				n, err := o.Result()
				c <- result{n, err}
			}
			o := x.do(s)
			e.submit(o)
			var r result
			select {
			case r = <-c:
			case <-time.After(patience):
				e.Fatalf("%s: no result", x.name)
			}
			if r.n != x.n || !errors.Is(r.err, x.err) || (x.err == nil) != (r.err == nil) {
				e.Errorf("%s: %d, %v; not %d, %v", x.name, r.n, r.err, x.n, x.err)
			}
		}
	}
}

func (s *same13) buf() []byte { return make([]byte, 8) }

func (s *same13) tcp() *op.Handle { return s.register(s.tcpSocket(), nil) }

func (s *same13) listener() *op.Handle {
	h, _ := s.listening(1)
	return h
}

// left is a socket whose peer has written the bytes and closed.
func (s *same13) left(kind int, bytes string) *op.Handle {
	s.Helper()
	a, b := s.fds(kind)
	if bytes != "" {
		_, err := unix.Write(b, []byte(bytes))
		require.NoError(s, err)
	}
	unix.Close(b)
	return s.register(a, nil)
}

// connected is a TCP connection.
func (s *same13) connected() *op.Handle {
	h, _ := s.tcpPair()
	return h
}

// shut is a TCP connection whose end is shut down.
func (s *same13) shut(how int) *op.Handle {
	h := s.connected()
	require.NoError(s, unix.Shutdown(h.FD(), how))
	return h
}

// open is a file opened anew with the flags.
func (s *same13) open(flags int, contents string) *op.Handle {
	s.Helper()
	_, path := s.file([]byte(contents))
	return s.register(unix.Open(path, flags|unix.O_CLOEXEC, 0))
}

func (s *same13) device(path string) *op.Handle {
	s.Helper()
	return s.register(unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0))
}

// pipe returns the loop's end of a pipe and the other.
func (s *same13) pipe(write bool) (*op.Handle, int) {
	s.Helper()
	var p [2]int
	require.NoError(s, unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK))
	if write {
		p[0], p[1] = p[1], p[0]
	}
	return s.register(p[0], nil), p[1]
}

// fed is the reading end of a pipe that holds the bytes; its writer is gone.
func (s *same13) fed(bytes string) *op.Handle {
	s.Helper()
	h, w := s.pipe(false)
	_, err := unix.Write(w, []byte(bytes))
	require.NoError(s, err)
	unix.Close(w)
	return h
}

// orphan is the writing end of a pipe that nobody reads.
func (s *same13) orphan() *op.Handle {
	h, r := s.pipe(true)
	unix.Close(r)
	return h
}

// nobody is an address that refuses connections.
func (s *same13) nobody() *op.Sockaddr {
	fd, sa := s.listenFD(1)
	unix.Close(fd)
	return sa
}

func (s *same13) missing() *op.Sockaddr {
	sa, err := op.UnixSockaddr(filepath.Join(s.TempDir(), "none"))
	require.NoError(s, err)
	return sa
}

func (s *same13) unixSocket() *op.Handle {
	s.Helper()
	return s.register(unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
}

// sent is a message socket whose peer has sent the messages.
func (s *same13) sent(kind int, messages ...string) *op.Handle {
	s.Helper()
	h, peer := s.rawPair(kind)
	for _, m := range messages {
		require.NoError(s, unix.Sendto(peer, []byte(m), 0, nil))
	}
	return h
}

func (s *same13) unconnectedUDP() *op.Handle {
	s.Helper()
	return s.register(unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0))
}

// udp is a UDP socket connected to itself.
func (s *same13) udp() *op.Handle {
	s.Helper()
	h := s.unconnectedUDP()
	require.NoError(s, unix.Bind(h.FD(), &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	name, err := unix.Getsockname(h.FD())
	require.NoError(s, err)
	require.NoError(s, unix.Connect(h.FD(), name))
	return h
}
