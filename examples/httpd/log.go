package main

import (
	"net"
	"net/http"
	"strconv"
	"time"
)

// maxLog is how many bytes of the log wait to be written; when a disk is slower than that,
// lines are lost, and the next that isn't tells how many.
const maxLog = 1 << 20

// accessLog is a worker's part of the access log, in the common format. Lines are put
// together, and written by one of the loop's workers every tick.
type accessLog struct {
	worker  *worker
	on      bool
	lines   []byte
	spare   []byte // while the lines before are written: nil
	writing bool
	lost    int
	date    []byte
}

func (l *accessLog) init(w *worker) { l.worker, l.on = w, w.server.log != nil }

// tell makes the date of the lines.
func (l *accessLog) tell(t time.Time) {
	l.date = t.AppendFormat(l.date[:0], "02/Jan/2006:15:04:05 -0700")
}

// meet notes who the client is.
func (l *accessLog) meet(s *session) {
	if !l.on {
		return
	}
	s.peer = "-"
	if a := s.conn.RemoteAddr(); a != nil {
		s.peer, _, _ = net.SplitHostPort(a.String())
	}
}

// line notes an answer with n bytes in its body.
func (l *accessLog) line(s *session, r *request, status int, n int64) {
	if !l.on {
		return
	}
	if len(l.lines) > maxLog {
		l.lost++
		return
	}
	if r.head || status == http.StatusNotModified {
		n = 0
	}
	b := l.lines
	if l.lost > 0 {
		b = append(strconv.AppendInt(append(b, "- - - ["...), int64(l.lost), 10), " lines lost]\n"...)
		l.lost = 0
	}
	b = append(b, s.peer...)
	b = append(b, " - - ["...)
	b = append(b, l.date...)
	b = append(b, "] \""...)
	if r.target == nil {
		b = append(b, '-')
	} else {
		b = appendQuoted(b, r.method)
		b = append(b, ' ')
		b = appendQuoted(b, r.target)
		b = append(b, " HTTP/1."...)
		b = append(b, '0'+r.minor)
	}
	b = append(b, "\" "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, n, 10)
	l.lines = append(b, '\n')
}

// appendQuoted appends what a client has sent so that it can't end the quotes or the line.
func appendQuoted(b, v []byte) []byte {
	for _, c := range v {
		if c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			const hex = "0123456789abcdef"
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}

// flush has the lines written.
func (l *accessLog) flush() {
	if l.writing || len(l.lines) == 0 {
		return
	}
	lines := l.lines
	var failed error
	_, err := l.worker.loop.Go(func() { _, failed = l.worker.server.log.Write(lines) }, func(err error) {
		l.writing, l.spare = false, lines[:0]
		if failed != nil {
			l.worker.server.complain(failed)
		}
	})
	if err == nil {
		l.writing = true
		l.lines, l.spare = l.spare, nil
	}
}

// rest writes what is left when the loop has ended.
func (l *accessLog) rest() {
	if len(l.lines) > 0 {
		_, _ = l.worker.server.log.Write(l.lines)
	}
}
