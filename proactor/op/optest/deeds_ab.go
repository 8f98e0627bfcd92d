//go:build linux

package optest

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// deed prepares an operation of one code.
type deed func(*op.Op) *op.Op

// oneShots are the codes without More; each.go has the tests of the others.
func oneShots() (all []op.Code) {
	for c := op.Nop; c < op.NumCodes; c++ {
		if !c.Info().Multi {
			all = append(all, c)
		}
	}
	return all
}

// deeds returns for each code how to prepare an operation that completes by
// itself and without an error, as often as wanted. Codes that the engine doesn't
// support are left out.
func deeds(e *env) map[op.Code]deed {
	e.Helper()
	all := map[op.Code]deed{
		op.Nop:     func(o *op.Op) *op.Op { return o.Nop() },
		op.Work:    func(o *op.Op) *op.Op { return o.Work(func() {}) },
		op.Timeout: func(o *op.Op) *op.Op { return o.Timeout(10 * time.Microsecond) },
		op.Cancel: func(o *op.Op) *op.Op {
			target := &op.Op{Done: func(*op.Op) {}}
			return o.Cancel(e.put(target.Timeout(time.Hour)))
		},
	}
	streamDeeds(e, all)
	socketDeeds(e, all)
	fileDeeds(e, all)
	processDeeds(e, all)
	futexDeeds(e, all)
	for _, c := range oneShots() {
		if err := e.loop.Supports(c); err != nil {
			e.Log("not tested here: ", err)
			delete(all, c)
			continue
		}
		require.Contains(e, all, c, "no test for %v: add one to deeds", c)
	}
	return all
}

func streamDeeds(e *env, all map[op.Code]deed) {
	h, peer := e.pair()
	go func() { _, _ = io.Copy(io.Discard, peer) }()
	// Each receives from a pair of its own: what is written for those that are cancelled
	// stays in it, and a socket holds fewer single bytes than one might think.
	receives := func(prepare func(*op.Op, *op.Handle) *op.Op) deed {
		h, peer := e.pair()
		return func(o *op.Op) *op.Op {
			e.write(peer, []byte{1})
			return prepare(o, h)
		}
	}
	all[op.Recv] = receives(func(o *op.Op, h *op.Handle) *op.Op { return o.Recv(h, make([]byte, 64)) })
	all[op.Recvv] = receives(func(o *op.Op, h *op.Handle) *op.Op {
		return o.Recvv(h, [][]byte{make([]byte, 1), make([]byte, 64)})
	})
	all[op.Send] = func(o *op.Op) *op.Op { return o.Send(h, []byte{1}) }
	all[op.Sendv] = func(o *op.Op) *op.Op { return o.Sendv(h, [][]byte{{1}, {2, 3}}) }
	all[op.Poll] = func(o *op.Op) *op.Op { return o.Poll(h, unix.POLLOUT) }
	all[op.RecvMsg] = receives(func(o *op.Op, h *op.Handle) *op.Op {
		return o.RecvMsg(h, &op.Message{Data: make([]byte, 64), Control: make(op.Control, 0, 64)})
	})
	all[op.SendMsg] = func(o *op.Op) *op.Op { return o.SendMsg(h, &op.Message{Data: []byte{1}}) }
	udp := e.register(unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0))
	to, err := op.IPSockaddr(loopback(9))
	require.NoError(e, err)
	all[op.SendMsgs] = func(o *op.Op) *op.Op {
		return o.SendMsgs(udp, []op.Message{{Data: []byte{1}, Peer: *to}, {Data: []byte{2}, Peer: *to}})
	}
	f, _ := e.tempFile(pattern(0, 100))
	all[op.SendFile] = func(o *op.Op) *op.Op { return o.SendFile(h, f, 10, 50) }
	all[op.SpliceIn] = receives(func(o *op.Op, h *op.Handle) *op.Op { return o.SpliceIn(h, 0, e.kernelPipe(), 64) })
	all[op.SpliceOut] = func(o *op.Op) *op.Op { return o.SpliceOut(h, 0, e.filledPipe(100), 100) }
	all[op.Tee] = func(o *op.Op) *op.Op { return o.Tee(e.kernelPipe(), e.filledPipe(100), 100) }
	all[op.SendZC] = func(o *op.Op) *op.Op { return o.SendZeroCopy(h, []byte{1}) }
	s, _ := e.pair()
	all[op.Shutdown] = func(o *op.Op) *op.Op { return o.Shutdown(s, syscall.SHUT_WR) }
}

func socketDeeds(e *env, all map[op.Code]deed) {
	ln, name := e.listener()
	_, other := e.unixListener(4096)
	all[op.Accept] = func(o *op.Op) *op.Op {
		e.knock(name)
		return o.Accept(ln)
	}
	all[op.Connect] = func(o *op.Op) *op.Op {
		return o.Connect(e.socketHandle(unix.AF_UNIX), e.unixAddr(other))
	}
	all[op.Close] = func(o *op.Op) *op.Op { return o.Close(e.socketHandle(unix.AF_UNIX), time.Hour) }
}

func fileDeeds(e *env, all map[op.Code]deed) {
	f, path := e.tempFile(pattern(0, 100))
	all[op.ReadAt] = func(o *op.Op) *op.Op { return o.ReadAt(f, make([]byte, 50), 10) }
	all[op.ReadvAt] = func(o *op.Op) *op.Op {
		return o.ReadvAt(f, [][]byte{make([]byte, 20), make([]byte, 30)}, 10)
	}
	all[op.WriteAt] = func(o *op.Op) *op.Op { return o.WriteAt(f, make([]byte, 10), 90) }
	all[op.WritevAt] = func(o *op.Op) *op.Op {
		return o.WritevAt(f, [][]byte{make([]byte, 4), make([]byte, 6)}, 90)
	}
	all[op.Fsync] = func(o *op.Op) *op.Op { return o.Fsync(f) }
	all[op.Fdatasync] = func(o *op.Op) *op.Op { return o.Fdatasync(f) }
	fd, err := unix.Open(e.TempDir(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	dir := e.register(fd, err)
	n := 0
	name := func() string { n++; return fmt.Sprint("name", n) }
	made := func() string {
		s := name()
		require.NoError(e, unix.Symlinkat("nowhere", dir.FD(), s))
		return s
	}
	all[op.StatxAt] = func(o *op.Op) *op.Op { return o.Statx(dir, made(), 0x100, 0, new(op.Statx)) }
	all[op.OpenAt2] = func(o *op.Op) *op.Op { return o.OpenAt2(nil, path, op.OpenHow{}) }
	all[op.UnlinkAt] = func(o *op.Op) *op.Op { return o.UnlinkAt(dir, made(), 0) }
	all[op.RenameAt] = func(o *op.Op) *op.Op { return o.RenameAt(dir, made(), dir, name(), 0) }
	all[op.MkdirAt] = func(o *op.Op) *op.Op { return o.MkdirAt(dir, name(), 0o700) }
	all[op.LinkAt] = func(o *op.Op) *op.Op { return o.LinkAt(dir, made(), dir, name(), 0) }
	all[op.SymlinkAt] = func(o *op.Op) *op.Op { return o.SymlinkAt("nowhere", dir, name()) }
	all[op.Ftruncate] = func(o *op.Op) *op.Op { return o.Ftruncate(f, 100) }
	all[op.Fallocate] = func(o *op.Op) *op.Op { return o.Fallocate(f, 1, 0, 100) } // keeps the size
	all[op.Fadvise] = func(o *op.Op) *op.Op { return o.Fadvise(f, 0, 0, unix.FADV_SEQUENTIAL) }
	all[op.SyncFileRange] = func(o *op.Op) *op.Op { return o.SyncFileRange(f, 0, 100, unix.SYNC_FILE_RANGE_WRITE) }
	all[op.Madvise] = func(o *op.Op) *op.Op { return o.Madvise(aligned(4096, os.Getpagesize()), unix.MADV_NORMAL) }
	attributeDeeds(e, all)
	all[op.Preadv2] = func(o *op.Op) *op.Op { return o.Preadv2(f, [][]byte{make([]byte, 10)}, 0, 0) }
	all[op.Pwritev2] = func(o *op.Op) *op.Op { return o.Pwritev2(f, [][]byte{make([]byte, 10)}, 90, unix.RWF_DSYNC) }
	all[op.Getdents] = func(o *op.Op) *op.Op { return o.Getdents(dir, make([]byte, 4096)) }
	all[op.CopyFileRange] = func(o *op.Op) *op.Op { return o.CopyFileRange(f, 50, f, 0, 50) }
	all[op.OpenAt] = func(o *op.Op) *op.Op { return o.OpenAt(nil, path, unix.O_RDONLY, 0) }
}

func processDeeds(e *env, all map[op.Code]deed) {
	pid, end := Child(e, 1)
	h := e.pidfd(pid)
	end()
	all[op.WaitID] = func(o *op.Op) *op.Op { return o.WaitID(h, new(op.Exit), unix.WNOWAIT) }
}

func futexDeeds(e *env, all map[op.Code]deed) {
	all[op.FutexWake] = func(o *op.Op) *op.Op { return o.FutexWake(new(uint32), 1) }
	if e.loop.Supports(op.FutexWait) != nil {
		return
	}
	word := new(uint32)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // nothing tells when somebody waits
		defer close(stopped)
		tick := time.NewTicker(100 * time.Microsecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_, _ = futexWakeNow(word, 1<<30)
			case <-stop:
				return
			}
		}
	}()
	e.Cleanup(func() { close(stop); <-stopped })
	all[op.FutexWait] = func(o *op.Op) *op.Op { return o.FutexWait(word, 0) }
}

// onHandle is how to prepare each code that needs a handle, on a given one.
var onHandle = map[op.Code]func(*op.Op, op.Target) *op.Op{
	op.Accept:    (*op.Op).Accept,
	op.Connect:   func(o *op.Op, t op.Target) *op.Op { return o.Connect(t, new(op.Sockaddr)) },
	op.Recv:      func(o *op.Op, t op.Target) *op.Op { return o.Recv(t, make([]byte, 1)) },
	op.Recvv:     func(o *op.Op, t op.Target) *op.Op { return o.Recvv(t, [][]byte{make([]byte, 1)}) },
	op.Send:      func(o *op.Op, t op.Target) *op.Op { return o.Send(t, make([]byte, 1)) },
	op.Sendv:     func(o *op.Op, t op.Target) *op.Op { return o.Sendv(t, [][]byte{make([]byte, 1)}) },
	op.Shutdown:  func(o *op.Op, t op.Target) *op.Op { return o.Shutdown(t, syscall.SHUT_WR) },
	op.Close:     func(o *op.Op, t op.Target) *op.Op { return o.Close(t, 0) },
	op.ReadAt:    func(o *op.Op, t op.Target) *op.Op { return o.ReadAt(t, make([]byte, 1), 0) },
	op.ReadvAt:   func(o *op.Op, t op.Target) *op.Op { return o.ReadvAt(t, [][]byte{make([]byte, 1)}, 0) },
	op.WriteAt:   func(o *op.Op, t op.Target) *op.Op { return o.WriteAt(t, make([]byte, 1), 0) },
	op.WritevAt:  func(o *op.Op, t op.Target) *op.Op { return o.WritevAt(t, [][]byte{make([]byte, 1)}, 0) },
	op.Fsync:     (*op.Op).Fsync,
	op.Fdatasync: (*op.Op).Fdatasync,
	op.Poll:      func(o *op.Op, t op.Target) *op.Op { return o.Poll(t, unix.POLLIN) },

	op.AcceptEach: (*op.Op).AcceptEach,
	op.RecvEach:   (*op.Op).RecvEach,

	op.RecvMsg:       func(o *op.Op, t op.Target) *op.Op { return o.RecvMsg(t, &op.Message{Data: make([]byte, 1)}) },
	op.SendMsg:       func(o *op.Op, t op.Target) *op.Op { return o.SendMsg(t, &op.Message{Data: make([]byte, 1)}) },
	op.RecvMsgEach:   func(o *op.Op, t op.Target) *op.Op { return o.RecvMsgEach(t, 0) },
	op.Ftruncate:     func(o *op.Op, t op.Target) *op.Op { return o.Ftruncate(t, 0) },
	op.Fallocate:     func(o *op.Op, t op.Target) *op.Op { return o.Fallocate(t, 0, 0, 1) },
	op.Fadvise:       func(o *op.Op, t op.Target) *op.Op { return o.Fadvise(t, 0, 1, 0) },
	op.SyncFileRange: func(o *op.Op, t op.Target) *op.Op { return o.SyncFileRange(t, 0, 1, 0) },
	op.SendFile:      func(o *op.Op, t op.Target) *op.Op { return o.SendFile(t, t, 0, 1) },
	op.SpliceIn:      func(o *op.Op, t op.Target) *op.Op { return o.SpliceIn(t, 0, new(op.Pipe), 1) },
	op.SpliceOut:     func(o *op.Op, t op.Target) *op.Op { return o.SpliceOut(t, 0, new(op.Pipe), 0) },
	op.SendZC:        func(o *op.Op, t op.Target) *op.Op { return o.SendZeroCopy(t, make([]byte, 1)) },
	op.Preadv2:       func(o *op.Op, t op.Target) *op.Op { return o.Preadv2(t, [][]byte{make([]byte, 1)}, 0, 0) },
	op.Pwritev2:      func(o *op.Op, t op.Target) *op.Op { return o.Pwritev2(t, [][]byte{make([]byte, 1)}, 0, 0) },
	op.Getdents:      func(o *op.Op, t op.Target) *op.Op { return o.Getdents(t, make([]byte, 64)) },
	op.CopyFileRange: func(o *op.Op, t op.Target) *op.Op { return o.CopyFileRange(t, 0, t, 0, 1) },
	op.WaitID:        func(o *op.Op, t op.Target) *op.Op { return o.WaitID(t, new(op.Exit), 0) },
	op.SendMsgs: func(o *op.Op, t op.Target) *op.Op {
		return o.SendMsgs(t, []op.Message{{Data: make([]byte, 1)}})
	},
}

// eachOnHandle calls f for each code that needs a handle.
func eachOnHandle(e *env, f func(c op.Code, prepare func(*op.Op, op.Target) *op.Op)) {
	e.Helper()
	for c := op.Nop; c < op.NumCodes; c++ {
		if c.Info().Handle {
			require.Contains(e, onHandle, c, "no test for %v: add one to onHandle", c)
			f(c, onHandle[c])
		}
	}
}

func loopback(port int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))
}

// stuckOp is an operation that stays pending until something ends it.
type stuckOp struct {
	name string
	h    *op.Handle // nil for a timeout and the like
	deed deed
}

// stuckOps returns one of each kind, each on a handle of its own.
func stuckOps(e *env) (all []stuckOp) {
	e.Helper()
	add := func(name string, h *op.Handle, d deed) { all = append(all, stuckOp{name, h, d}) }
	pair := func() *op.Handle { h, _ := e.pair(); return h }
	full := func() *op.Handle { h := pair(); e.stuff(h); return h }

	recv, recvv, poll, send, sendv := pair(), pair(), pair(), full(), full()
	add("recv", recv, func(o *op.Op) *op.Op { return o.Recv(recv, make([]byte, 8)) })
	add("recvv", recvv, func(o *op.Op) *op.Op { return o.Recvv(recvv, [][]byte{make([]byte, 8)}) })
	add("send", send, func(o *op.Op) *op.Op { return o.Send(send, make([]byte, 8)) })
	add("sendv", sendv, func(o *op.Op) *op.Op { return o.Sendv(sendv, [][]byte{make([]byte, 8)}) })
	add("poll for input", poll, func(o *op.Op) *op.Op { return o.Poll(poll, unix.POLLIN) })

	ln, _ := e.listener()
	add("accept", ln, func(o *op.Op) *op.Op { return o.Accept(ln) })
	local, tcp := e.socketHandle(unix.AF_UNIX), e.socketHandle(unix.AF_INET)
	toLocal, _ := e.fullUnix()
	toTCP := e.fullTCP()
	add("unix connect", local, func(o *op.Op) *op.Op { return o.Connect(local, toLocal) })
	add("tcp connect", tcp, func(o *op.Op) *op.Op { return o.Connect(tcp, toTCP) })

	p, _ := e.pipe(true)
	add("recv from a pipe", p, func(o *op.Op) *op.Op { return o.Recv(p, make([]byte, 8)) })
	q, _ := e.pipe(false)
	e.stuff(q)
	add("send to a pipe", q, func(o *op.Op) *op.Op { return o.Send(q, make([]byte, 8)) })
	msg := pair()
	fullMsg := full()
	fullGram, _, _ := e.fullPeer("connected")
	add("recvmsg", msg, func(o *op.Op) *op.Op { return o.RecvMsg(msg, &op.Message{Data: make([]byte, 8)}) })
	add("sendmsg", fullMsg, func(o *op.Op) *op.Op { return o.SendMsg(fullMsg, &op.Message{Data: make([]byte, 8)}) })
	add("sendmmsg", fullGram, func(o *op.Op) *op.Op {
		return o.SendMsgs(fullGram, []op.Message{{Data: make([]byte, 8)}, {Data: make([]byte, 8)}})
	})
	into, sf, zc := pair(), full(), full()
	file, _ := e.tempFile(pattern(0, 100))
	add("splice in", into, func(o *op.Op) *op.Op { return o.SpliceIn(into, 0, e.kernelPipe(), 8) })
	w, _ := e.pipe(false)
	e.stuff(w)
	add("splice out", w, func(o *op.Op) *op.Op { return o.SpliceOut(w, 0, e.filledPipe(8), 8) })
	if !e.takesPages(sf, file) {
		add("sendfile", sf, func(o *op.Op) *op.Op { return o.SendFile(sf, file, 0, 8) })
	}
	add("send_zc", zc, func(o *op.Op) *op.Op { return o.SendZeroCopy(zc, make([]byte, 8)) })
	pid, _ := Child(e, 0)
	process := e.pidfd(pid)
	add("waitid", process, func(o *op.Op) *op.Op { return o.WaitID(process, new(op.Exit), 0) })
	if e.loop.Supports(op.FutexWait) == nil {
		add("futex wait", nil, func(o *op.Op) *op.Op { return o.FutexWait(new(uint32), 0) })
	}
	add("timeout", nil, func(o *op.Op) *op.Op { return o.Timeout(time.Hour) })
	return all
}
