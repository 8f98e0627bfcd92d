package proactor_test

import (
	"net"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/stretchr/testify/require"
)

// accepts listens on the loop, and returns where connections, and nil at the end, come to.
func accepts(t *testing.T, l *proactor.Loop) (*proactor.Listener, chan *proactor.Conn) {
	ln, err := l.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	came := make(chan *proactor.Conn, 16)
	require.NoError(t, ln.AcceptEach(func(c *proactor.Conn, err error) {
		if err != nil && err != proactor.ErrClosed {
			t.Error(err)
		}
		came <- c
	}))
	return ln, came
}

func TestAcceptingPausesAndGoesOn(t *testing.T) {
	bothEngines(t, func(t *testing.T, l *proactor.Loop) {
		ln, came := accepts(t, l)
		other, marks := accepts(t, l)
		visit := func(ln *proactor.Listener) {
			c, err := net.Dial("tcp", ln.Addr().String())
			require.NoError(t, err)
			t.Cleanup(func() { c.Close() })
		}
		passed := func() { // what was asked before is done when this has come
			for range 3 {
				visit(other)
				got(t, marks)
			}
		}
		visit(ln)
		require.NotNil(t, got(t, came))
		ln.PauseAccept()
		passed()
		visit(ln)
		visit(ln)
		passed()
		require.Empty(t, came)
		ln.ResumeAccept()
		require.NotNil(t, got(t, came))
		require.NotNil(t, got(t, came))
		ln.PauseAccept()
		ln.ResumeAccept()
		visit(ln)
		require.NotNil(t, got(t, came))
		ln.PauseAccept()
		passed()
		require.NoError(t, ln.Close(nil))
		require.Nil(t, got(t, came), "the end of what was paused")
	})
}
