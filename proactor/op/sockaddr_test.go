package op

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSockaddrKeepsTheEndpoint(t *testing.T) {
	for _, s := range []string{"127.0.0.1:80", "[::1]:65535", "0.0.0.0:0", "[fe80::1%7]:9"} {
		ap := netip.MustParseAddrPort(s)
		sa, err := IPSockaddr(ap)
		require.NoError(t, err)
		require.Equal(t, ap.Port(), sa.AddrPort().Port())
		require.Equal(t, ap.Addr().WithZone(""), sa.AddrPort().Addr().WithZone(""))
	}
	_, err := IPSockaddr(netip.AddrPort{})
	require.ErrorIs(t, err, ErrAddress)
}

func TestUnixSockaddrKeepsTheName(t *testing.T) {
	for _, s := range []string{"", "/tmp/x", "@abstract", strings.Repeat("x", 107)} {
		sa, err := UnixSockaddr(s)
		require.NoError(t, err)
		require.Equal(t, AFUnix, sa.Family())
		require.Equal(t, s, sa.Path())
		require.False(t, sa.AddrPort().IsValid())
	}
	_, err := UnixSockaddr(strings.Repeat("x", 108))
	require.ErrorIs(t, err, ErrAddress)
}
