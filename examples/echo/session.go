package main

import "github.com/seed-2ff0fea0/go-proactor/proactor"

// session is one connection. Either its receive or its send is in flight, never
// both: they share the buffer.
type session struct {
	server     *server
	conn       *proactor.Conn
	recv, send proactor.Op
	buf        []byte
}

func newSession(s *server, c *proactor.Conn) *session {
	n := &session{server: s, conn: c, buf: make([]byte, s.buffer)}
	n.recv.Done, n.send.Done = n.received, n.sent
	return n
}

func (n *session) receive() { n.submit(n.recv.Recv(n.conn, n.buf)) }

func (n *session) received(o *proactor.Op) {
	got, err := o.Result()
	if err != nil { // io.EOF: the peer is done
		n.close()
		return
	}
	n.submit(n.send.Send(n.conn, n.buf[:got]))
}

func (n *session) sent(o *proactor.Op) {
	if _, err := o.Result(); err != nil {
		n.close()
		return
	}
	n.receive()
}

// submit is refused only when the connection is closing, whose callback does
// the rest.
func (n *session) submit(o *proactor.Op) { _, _ = n.server.loop.Submit(o) }

// close can be called again: a connection closes once.
func (n *session) close() {
	_ = n.conn.Close(func(error) { n.server.forget(n) })
}
