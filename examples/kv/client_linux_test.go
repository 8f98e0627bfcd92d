package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const patience = 60 * time.Second

// client speaks the protocol. Its errors are of the connection; those of the server
// are replies, of type failure.
type client struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

type failure string

func dial(addr string) (*client, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	return &client{conn: c, in: bufio.NewReader(c)}, nil
}

func connect(t *testing.T, addr string) *client {
	c, err := dial(addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.conn.Close() })
	return c
}

// add puts a request to those that flush sends.
func (c *client) add(args ...string) {
	c.out = appendArray(c.out, len(args))
	for _, a := range args {
		c.out = appendBulk(c.out, []byte(a))
	}
}

func (c *client) flush() error {
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// reply reads one: a string, an int64, nil, a failure, or a slice of them.
func (c *client) reply() (any, error) {
	line, err := c.in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return nil, fmt.Errorf("no line: %q", line)
	}
	text := line[1 : len(line)-2]
	n, _ := strconv.ParseInt(text, 10, 64)
	switch line[0] {
	case '+':
		return text, nil
	case '-':
		return failure(text), nil
	case ':':
		return n, nil
	case '$':
		if n < 0 {
			return nil, nil
		}
		b := make([]byte, n+2)
		_, err := io.ReadFull(c.in, b)
		return string(b[:n]), err
	case '*':
		if n < 0 {
			return nil, nil
		}
		all := make([]any, n)
		for i := range all {
			if all[i], err = c.reply(); err != nil {
				return nil, err
			}
		}
		return all, nil
	}
	return nil, errors.New("no reply: " + line)
}

func (c *client) do(args ...string) (any, error) {
	c.add(args...)
	if err := c.flush(); err != nil {
		return nil, err
	}
	return c.reply()
}

// must is do in the goroutine of a test.
func (c *client) must(t *testing.T, args ...string) any {
	t.Helper()
	r, err := c.do(args...)
	require.NoError(t, err)
	return r
}
