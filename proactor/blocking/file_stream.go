package blocking

import (
	"os"
	"time"
)

// SetDeadline sets the deadlines of reads and writes of a pipe, a terminal or the like:
// os.ErrNoDeadline if the file is none.
func (f *File) SetDeadline(t time.Time) error { return f.setDeadline(t, &f.rd, &f.wr) }

// SetReadDeadline is SetDeadline for reads.
func (f *File) SetReadDeadline(t time.Time) error { return f.setDeadline(t, &f.rd) }

// SetWriteDeadline is SetDeadline for writes.
func (f *File) SetWriteDeadline(t time.Time) error { return f.setDeadline(t, &f.wr) }

func (f *File) setDeadline(t time.Time, sides ...*side) error {
	switch {
	case f.gate.isClosed():
		return os.ErrClosed
	case !f.stream:
		return os.ErrNoDeadline
	}
	to := when(t)
	for _, s := range sides {
		s.setDeadline(f.net, to)
	}
	return nil
}

func (f *File) readStream(b []byte) (int, error) {
	f.rd.turn.Lock()
	defer f.rd.turn.Unlock()
	if len(b) == 0 && !f.gate.isClosed() {
		return 0, nil
	}
	w := f.net.waiter()
	defer w.free()
	for {
		w.op.Recv(f.f, b)
		if n, moved, err := f.rd.do(w); !moved {
			return n, err
		}
	}
}

func (f *File) writeStream(b []byte) (sent int, err error) {
	f.wr.turn.Lock()
	defer f.wr.turn.Unlock()
	w := f.net.waiter()
	defer w.free()
	for {
		w.op.Send(f.f, b[sent:])
		n, moved, err := f.wr.do(w)
		if sent += n; !moved {
			return sent, err
		}
	}
}
