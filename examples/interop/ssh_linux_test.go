package interop

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/proactor/blocking"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
)

func signer(t *testing.T) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	s, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	return s
}

// serveSSH takes one connection, whose sessions send back what they get.
func serveSSH(ln net.Listener, config *ssh.ServerConfig) error {
	raw, err := ln.Accept()
	if err != nil {
		return err
	}
	c, channels, requests, err := ssh.NewServerConn(raw, config)
	if err != nil {
		return err
	}
	go ssh.DiscardRequests(requests)
	for n := range channels {
		channel, requests, err := n.Accept()
		if err != nil {
			return err
		}
		go func() {
			for r := range requests {
				_ = r.Reply(r.Type == "exec", nil)
				if r.Type == "exec" {
					_, _ = io.Copy(channel, channel)
					_, _ = channel.SendRequest("exit-status", false, make([]byte, 4))
					_ = channel.Close()
				}
			}
		}()
	}
	if err := c.Wait(); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func TestSSH(t *testing.T) {
	bothEngines(t, func(t *testing.T, n *blocking.Net) {
		host, user := signer(t), signer(t)
		config := &ssh.ServerConfig{PublicKeyCallback: func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !bytes.Equal(key.Marshal(), user.PublicKey().Marshal()) {
				return nil, fmt.Errorf("unknown key of %s", c.User())
			}
			return nil, nil
		}}
		config.AddHostKey(host)
		ln := listen(t, n)
		served := make(chan error, 1)
		go func() { served <- serveSSH(ln, config) }()

		raw, err := n.Dial(soon(t), "tcp", ln.Addr().String())
		require.NoError(t, err)
		conn, channels, requests, err := ssh.NewClientConn(raw, ln.Addr().String(), &ssh.ClientConfig{
			User: "gopher", Auth: []ssh.AuthMethod{ssh.PublicKeys(user)}, HostKeyCallback: ssh.FixedHostKey(host.PublicKey()),
		})
		require.NoError(t, err)
		c := ssh.NewClient(conn, channels, requests)
		for range 2 {
			s, err := c.NewSession()
			require.NoError(t, err)
			b := make([]byte, 1<<20)
			_, _ = rand.Read(b)
			var out bytes.Buffer
			s.Stdin, s.Stdout = bytes.NewReader(b), &out
			require.NoError(t, s.Run("echo"))
			require.True(t, bytes.Equal(b, out.Bytes()))
			_ = s.Close()
		}
		closing(t, c)
		require.NoError(t, <-served)
		closing(t, ln)
	})
}
