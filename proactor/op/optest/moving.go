//go:build linux

package optest

import (
	"io"
	"net"
	"os"
	"path/filepath"

	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var movingTests = []test{
	{"Move_AFileIsSentInItsTurn", sendFileInTurn},
	{"Move_AHeadLeavesWithItsFile", sendFileWithHead},
	{"Move_ADatagramDoesNotWaitForAFileThatIsRefused", sendFileRefused},
	{"Move_AFileThatEndsTooSoonTearsTheStream", sendFileTooShort},
	{"Move_AFileGoesToASlowReaderWhole", sendFileSlowly},
	{"Move_AWorkerReadsWhatIsNotInThePageCache", sendFileCold},
	{"Move_OnlyFilesAreSentAsFiles", sendFileOfOthers},
	{"Move_AnAbortOfTheFileEndsItsSending", sendFileAborted},
	{"Move_AStreamIsSplicedThroughAPipe", spliceStream},
	{"Move_AFileIsSplicedAtItsOffset", spliceFile},
	{"Move_AFullPipeIsAnError", spliceFull},
	{"Move_APipeIsTakenWhenThereIsData", splicePool},
	{"Move_ATeeLeavesWhatItCopies", teePipes},
}

// sent is how much the tests send: more than a socket's buffers hold.
const sent = 12 << 20

func sendFileInTurn(e *env) {
	e.start()
	h, peer := e.tcpPair()
	data := pattern(0, 3<<20)
	f, _ := e.tempFile(data)
	head, part, all, tail := newJob(), newJob(), newJob(), newJob()
	e.onLoop(func() {
		e.put(head.Send(h, []byte("head")))
		e.put(part.SendFile(h, f, 1000, 2000))
		e.put(all.SendFile(h, f, 77, op.ToTheEnd))
		e.put(tail.Send(h, []byte("tail")))
	})
	want := append([]byte("head"), data[1000:3000]...)
	want = append(append(want, data[77:]...), "tail"...)
	requireSame(e, want, e.read(peer, len(want)))
	head.waitFor(e, 4, nil)
	part.waitFor(e, 2000, nil)
	all.waitFor(e, len(data)-77, nil)
	tail.waitFor(e, 4, nil)
	none := newJob()
	e.put(none.SendFile(h, f, int64(len(data)), op.ToTheEnd))
	none.waitFor(e, 0, nil)
	e.put(none.SendFile(h, f, 0, 0))
	none.waitFor(e, 0, nil)
}

func sendFileWithHead(e *env) {
	e.start()
	h, peer := e.tcpPair()
	require.NoError(e, unix.SetsockoptInt(h.FD(), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	f, _ := e.tempFile(pattern(0, 100))
	segments := func() uint32 {
		i, err := unix.GetsockoptTCPInfo(h.FD(), unix.IPPROTO_TCP, unix.TCP_INFO)
		require.NoError(e, err)
		return i.Data_segs_out - i.Total_retrans
	}
	both := func(n int) {
		head, file := newJob(), newJob()
		e.onLoop(func() {
			e.submit(head.Send(h, []byte("head")))
			e.submit(file.SendFile(h, f, 0, n))
		})
		head.waitFor(e, 4, nil)
		file.waitFor(e, 100, nil)
		require.Equal(e, "head"+string(pattern(0, 100)), string(e.read(peer, 104)))
	}
	before := segments()
	both(100)
	require.Equal(e, before+1, segments())
	both(op.ToTheEnd)
	require.Equal(e, before+3, segments())
	_, err := e.do(func(o *op.Op) *op.Op { return o.Send(h, []byte("alone")) })
	require.NoError(e, err)
	require.Equal(e, "alone", string(e.read(peer, 5)))
}

// On a datagram socket what leaves with the next would be one datagram with it.
func sendFileRefused(e *env) {
	e.start()
	peer, to := e.udpPeer()
	h := e.register(unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0))
	require.NoError(e, unix.Connect(h.FD(), &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}))
	f, _ := e.tempFile([]byte("file"))
	first, file, last := newJob(), newJob(), newJob()
	e.onLoop(func() {
		e.submit(first.Send(h, []byte("first")))
		e.submit(file.SendFile(h, f, 0, 4))
	})
	first.waitFor(e, 5, nil)
	file.waitFor(e, 0, unix.EINVAL)
	e.submit(last.Send(h, []byte("last")))
	last.waitFor(e, 4, nil)
	for _, want := range []string{"first", "last"} {
		var b [20]byte
		n, err := peer.Read(b[:])
		require.NoError(e, err)
		require.Equal(e, want, string(b[:n]))
	}
}

func sendFileTooShort(e *env) {
	e.start()
	h, peer := e.tcpPair()
	f, _ := e.tempFile(pattern(0, 5000))
	file, behind := newJob(), newJob()
	e.onLoop(func() {
		e.put(file.SendFile(h, f, 1000, 4001))
		e.put(behind.Send(h, []byte("x")))
	})
	file.waitFor(e, 4000, io.EOF)
	behind.waitFor(e, 0, op.ErrTorn)
	requireSame(e, pattern(1000, 4000), e.read(peer, 4000))
}

func sendFileSlowly(e *env) {
	e.start()
	h, peer := e.tcpPair()
	require.NoError(e, unix.SetsockoptInt(h.FD(), unix.SOL_SOCKET, unix.SO_SNDBUF, 64<<10))
	require.NoError(e, peer.SetReadBuffer(64<<10))
	data := pattern(0, sent)
	f, _ := e.tempFile(data)
	j := newJob()
	e.put(j.SendFile(h, f, 0, len(data)))
	j.stillPending(e)
	requireSame(e, data, e.read(peer, len(data)))
	j.waitFor(e, len(data), nil)
}

func sendFileCold(e *env) {
	e.start()
	h, peer := e.tcpPair()
	data := pattern(0, 1<<20+1)
	f, path := e.tempFile(data)
	uncached := e.dropCache(path)
	jobs := e.stats().Engine.Jobs
	j := newJob()
	e.put(j.SendFile(h, f, 0, len(data)))
	requireSame(e, data, e.read(peer, len(data)))
	j.waitFor(e, len(data), nil)
	if !uncached {
		e.Skip("the file system keeps what it has in memory")
	}
	require.Greater(e, e.stats().Engine.Jobs, jobs, "the loop has waited for the disk")
}

// dropCache takes a file out of the page cache, if the file system lets it.
func (e *env) dropCache(path string) bool {
	e.Helper()
	f, err := os.Open(path)
	require.NoError(e, err)
	defer f.Close()
	require.NoError(e, f.Sync())
	require.NoError(e, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
	_, err = unix.Preadv2(int(f.Fd()), [][]byte{make([]byte, 1)}, 0, unix.RWF_NOWAIT)
	return err != nil
}

func sendFileOfOthers(e *env) {
	e.start()
	h, _ := e.tcpPair()
	other, _ := e.tcpPair()
	f, path := e.tempFile(pattern(0, 5000))
	datagrams := e.register(unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0))
	for _, x := range []struct {
		to, from *op.Handle
		want     error
	}{
		{h, other, unix.EINVAL},
		{h, e.openFile(filepath.Dir(path), unix.O_RDONLY), unix.EISDIR},
		{f, e.openFile(path, unix.O_RDONLY), unix.EINVAL},
		{datagrams, f, unix.EINVAL},
	} {
		_, err := e.do(func(o *op.Op) *op.Op { return o.SendFile(x.to, x.from, 0, 10) })
		require.ErrorIs(e, err, x.want)
	}
}

// takesPages reports whether a full unix socket takes pages of a file nevertheless, as
// on kernels before 6.5: there no sendfile waits.
func (e *env) takesPages(full, file *op.Handle) bool {
	e.Helper()
	off := int64(0)
	for {
		_, err := unix.Sendfile(full.FD(), file.FD(), &off, 1)
		if err != unix.EINTR {
			return err == nil
		}
	}
}

// makesSendFileWait skips the test where a full socket doesn't.
func (e *env) makesSendFileWait(full, file *op.Handle) {
	e.Helper()
	if e.takesPages(full, file) {
		e.Skip("a full socket takes pages here")
	}
}

func sendFileAborted(e *env) {
	e.start()
	h, _ := e.pair()
	e.stuff(h)
	f, _ := e.tempFile(pattern(0, 100))
	e.makesSendFileWait(h, f)
	under, inLine := newJob(), newJob()
	e.put(under.SendFile(h, f, 0, 100))
	e.put(inLine.SendFile(h, f, 0, 100))
	closing := newJob()
	e.put(closing.Close(f, -1))
	closing.stillPending(e)
	e.put((&op.Op{Done: func(*op.Op) {}}).Abort(f))
	under.waitFor(e, 0, net.ErrClosed)
	inLine.waitFor(e, 0, net.ErrClosed)
	closing.waitFor(e, 0, nil)
}

func spliceStream(e *env) {
	e.start()
	in, from := e.pair()
	out, to := e.tcpPair()
	data := pattern(0, 1<<20)
	go func() {
		_, _ = from.Write(data)
		from.Close()
	}()
	got := make(chan []byte, 1)
	go func() { b, _ := io.ReadAll(to); got <- b }()
	p := e.kernelPipe()
	j := newJob()
	total := 0
	for {
		e.put(j.SpliceIn(in, 0, p, 1<<20))
		n, err := j.wait(e)
		if err == io.EOF {
			break
		}
		require.NoError(e, err)
		require.Positive(e, n)
		require.Equal(e, n, p.Len())
		e.put(j.SpliceOut(out, 0, p, n))
		j.waitFor(e, n, nil)
		require.Zero(e, p.Len())
		total += n
	}
	require.Equal(e, len(data), total)
	e.put(j.Shutdown(out, unix.SHUT_WR))
	j.waitFor(e, 0, nil)
	requireSame(e, data, await(e, got))
}

func spliceFile(e *env) {
	e.start()
	data := pattern(0, 50_000)
	src, _ := e.file(data)
	dst, path := e.file(nil)
	p := e.kernelPipe()
	j := newJob()
	e.put(j.SpliceIn(src, 1234, p, 40_000))
	n, err := j.wait(e)
	require.NoError(e, err)
	require.Equal(e, n, p.Len())
	e.put(j.SpliceOut(dst, 4321, p, n))
	j.waitFor(e, n, nil)
	all, err := os.ReadFile(path)
	require.NoError(e, err)
	requireSame(e, append(make([]byte, 4321), data[1234:1234+n]...), all)
	e.put(j.SpliceIn(src, int64(len(data)), p, 10))
	j.waitFor(e, 0, io.EOF)
	_, err = e.loop.Submit(j.SpliceOut(dst, 0, p, 1))
	require.ErrorIs(e, err, op.ErrInvalid, "more than the pipe holds")
	_, err = e.loop.Submit(j.SpliceIn(src, 0, nil, 1))
	require.ErrorIs(e, err, op.ErrInvalid, "no pipe")
	_, err = e.loop.Submit(j.Tee(p, nil, 1))
	require.ErrorIs(e, err, op.ErrInvalid, "no pipe")
	require.Nil(e, j.Recv(src, make([]byte, 1)).Pipe())
}

func spliceFull(e *env) {
	e.start()
	h, peer := e.pair()
	p := e.filledPipe(64 << 10)
	require.Equal(e, p.Size(), p.Len())
	n, err := p.Write([]byte("x"))
	require.Equal(e, result{0, io.ErrShortWrite}, result{n, err})
	e.write(peer, []byte("more"))
	j := newJob()
	e.put(j.SpliceIn(h, 0, p, 10))
	j.waitFor(e, 0, unix.ENOBUFS)
	all := make([]byte, 64<<10)
	_, err = io.ReadFull(p, all)
	require.NoError(e, err)
	requireSame(e, pattern(0, 64<<10), all)
	e.put(j.SpliceIn(h, 0, p, 10))
	j.waitFor(e, 4, nil)
	n, err = p.Read(all)
	require.NoError(e, err)
	require.Equal(e, "more", string(all[:n]))
	_, err = p.Read(all)
	require.Equal(e, io.EOF, err)
}

func splicePool(e *env) {
	e.start()
	h, peer := e.pair()
	pool := new(op.Pipes)
	j := newJob()
	for _, s := range []string{"one", "two"} {
		e.put(j.SpliceInto(h, pool, 100))
		j.stillPending(e)
		e.write(peer, []byte(s))
		j.waitFor(e, 3, nil)
		b := make([]byte, 10)
		n, err := j.Pipe().Read(b)
		require.NoError(e, err)
		require.Equal(e, s, string(b[:n]))
		e.onLoop(func() { pool.Put(j.Pipe()) })
	}
	peer.Close()
	e.put(j.SpliceInto(h, pool, 100))
	j.waitFor(e, 0, io.EOF)
	require.Nil(e, j.Pipe())
	e.onLoop(pool.Close)
}

func teePipes(e *env) {
	e.start()
	src, dst := e.filledPipe(5000), e.kernelPipe()
	j := newJob()
	e.put(j.Tee(dst, src, 3000))
	j.waitFor(e, 3000, nil)
	for p, n := range map[*op.Pipe]int{src: 5000, dst: 3000} {
		require.Equal(e, n, p.Len())
		b := make([]byte, n)
		_, err := io.ReadFull(p, b)
		require.NoError(e, err)
		requireSame(e, pattern(0, n), b)
	}
	e.put(j.Tee(dst, src, 3000))
	j.waitFor(e, 0, nil) // there is nothing
	e.put(j.Tee(e.filledPipe(64<<10), e.filledPipe(1), 1))
	j.waitFor(e, 0, unix.ENOBUFS)
}

// kernelPipe returns an empty pipe, which the test closes at its end if nothing else
// does; but not before the loop is done with it.
func (e *env) kernelPipe() *op.Pipe {
	e.Helper()
	p, err := op.NewPipe(0)
	require.NoError(e, err)
	loop := e.loop
	e.Cleanup(func() {
		require.NoError(e, loop.Close())
		p.Close()
	})
	return p
}

// filledPipe returns one that holds n bytes of the pattern.
func (e *env) filledPipe(n int) *op.Pipe {
	e.Helper()
	p := e.kernelPipe()
	_, err := p.Write(pattern(0, n))
	require.NoError(e, err)
	return p
}
