package main

import (
	"errors"
	"io"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// session is one connection. What it receives is executed at once, as long as its
// replies don't pile up, and all the replies to it leave in one send.
type session struct {
	server *server
	conn   *proactor.Conn
	id     uint64
	name   []byte // CLIENT SETNAME
	recv   proactor.Op
	send   proactor.Op
	ticket proactor.Ticket // of recv

	in      []byte  // a request that came in part, or what waits for its turn
	partial *parser // how far the request at the beginning of in was taken apart
	out     []byte  // replies that haven't left
	sent    []byte  // those that are leaving

	// out depends on a batch of the log, its first prefix bytes on an earlier one.
	batch, prefixBatch uint64
	prefix             int

	blocked bool // what waits in in has to: for the peer to read, or the disk
	waits   bool // among those that the server releases
	ended   bool // the peer has sent all
	closing bool // no request is executed any more
	gone    bool
}

func newSession(s *server, c *proactor.Conn) *session {
	s.lastID++
	n := &session{server: s, conn: c, id: s.lastID}
	n.recv.Done, n.send.Done = n.received, n.wasSent
	return n
}

// receive is for the whole life of the connection: multishot, so an idle connection
// holds no buffer. A receive of its own for each request took as much CPU, within
// what two busy cores let one see.
func (n *session) receive() {
	var err error
	if n.ticket, err = n.server.loop.Submit(n.recv.RecvEach(n.conn)); err != nil {
		n.forget()
	}
}

func (n *session) received(o *proactor.Op) {
	if b := o.Buffer(); b != nil {
		n.take(b.Bytes())
		b.Release()
		n.flush()
		return
	}
	switch _, err := o.Result(); {
	case errors.Is(err, io.EOF):
		n.ended = true
		n.flush()
	case errors.Is(err, proactor.ErrClosed):
		n.forget()
	default:
		n.abort()
	}
}

// take executes what came, and keeps what is no whole request yet.
func (n *session) take(b []byte) {
	if n.closing || n.gone {
		return
	}
	if len(n.in) > 0 || n.blocked {
		n.in = append(n.in, b...)
		if !n.blocked {
			n.takeKept()
		}
		return
	}
	if done := n.execute(b); done < len(b) {
		n.in = append(n.in, b[done:]...)
	}
}

// takeKept goes on with what was kept.
func (n *session) takeKept() {
	done := n.execute(n.in)
	switch rest := n.in[done:]; {
	case len(rest) == 0:
		n.in = nil
	case done > 0:
		n.in = append(make([]byte, 0, len(rest)), rest...)
	}
}

// execute executes the requests at the beginning of b, and returns how long they
// are.
func (n *session) execute(b []byte) (done int) {
	s := n.server
	for done < len(b) && !n.closing {
		if !n.mayGoOn() {
			n.block()
			break
		}
		p := n.partial
		if p == nil {
			p = s.parser
		}
		size, err := p.next(b[done:])
		switch {
		case err != nil:
			n.out = appendError(n.out, "ERR Protocol error: "+err.Error())
			n.closing = true
		case size > 0:
			n.partial = nil
			s.execute(n, p.args)
			done += size
		case n.partial == nil && p.count > 0:
			n.partial, s.parser = p, &parser{limits: p.limits}
			return done
		default:
			return done
		}
	}
	return done
}

// mayGoOn reports whether there is room for more replies and more to be written.
func (n *session) mayGoOn() bool {
	return len(n.out)+len(n.sent) < n.server.outputMax && !n.server.log.full()
}

// block holds the peer back. What has already been received still comes.
func (n *session) block() {
	if !n.blocked {
		n.blocked = true
		n.server.holds++
		n.server.loop.Pause(n.ticket)
	}
	if n.server.log.full() {
		n.wait()
	}
}

func (n *session) goOn() {
	if !n.blocked {
		return
	}
	if !n.mayGoOn() {
		n.block()
		return
	}
	n.blocked = false
	n.takeKept()
	if !n.blocked {
		n.server.loop.Resume(n.ticket)
	}
}

// wait has the server call released when the log has come further.
func (n *session) wait() {
	if !n.waits {
		n.waits = true
		n.conn.Busy(1)
		n.server.waiting = append(n.server.waiting, n)
	}
}

func (n *session) released() {
	n.waits = false
	n.conn.Busy(-1)
	if n.gone {
		return
	}
	n.goOn()
	n.flush()
}

// needs has the reply that comes next wait until a batch of the log is durable.
func (n *session) needs(batch uint64) {
	if batch > n.batch {
		n.prefix, n.prefixBatch, n.batch = len(n.out), n.batch, batch
	}
}

// flush sends the replies that depend on nothing any more.
func (n *session) flush() {
	if n.sending() || n.gone {
		return
	}
	durable, size := n.server.log.isDurable(), len(n.out)
	if n.batch > durable {
		n.wait()
		if size = n.prefix; n.prefixBatch > durable {
			size = 0
		}
	}
	switch {
	case size > 0:
		n.submitSend(size)
	case len(n.out) == 0 && (n.closing || n.ended && !n.blocked):
		n.close()
	}
}

func (n *session) sending() bool { return n.sent != nil }

func (n *session) submitSend(size int) {
	n.sent = n.out[:size]
	rest := n.out[size:]
	n.out = nil
	if len(rest) > 0 {
		n.out = append(n.server.buffer(), rest...)
	}
	n.prefix = 0
	if _, err := n.server.loop.Submit(n.send.Send(n.conn, n.sent)); err != nil {
		n.sent = nil // it is closing: its callbacks do the rest
	}
}

func (n *session) wasSent(o *proactor.Op) {
	n.server.keep(n.sent)
	n.sent = nil
	if _, err := o.Result(); err != nil {
		n.abort()
		return
	}
	if n.gone {
		return
	}
	if n.blocked {
		n.goOn()
	}
	if len(n.out) > 0 || n.closing || n.ended {
		n.flush()
	}
}

// close ends the connection in order. It may be closing already.
func (n *session) close() {
	n.closing = true
	if n.conn.Close(func(error) { n.forget() }) != nil {
		n.forget()
	}
}

func (n *session) abort() {
	n.closing = true
	if n.conn.Abort(func(error) { n.forget() }) != nil {
		n.forget()
	}
}

func (n *session) forget() {
	if !n.gone {
		n.gone = true
		n.in, n.out, n.partial = nil, nil, nil
		n.server.forget(n)
	}
}
