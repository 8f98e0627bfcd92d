//go:build linux && !(386 || arm || mips || mipsle)

package op

import "golang.org/x/sys/unix"

// sysSendfile is the call whose offset has 64 bits.
const sysSendfile = unix.SYS_SENDFILE
