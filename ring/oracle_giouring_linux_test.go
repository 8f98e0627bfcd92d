//go:build giouring

package ring

import (
	"testing"
	"unsafe"

	"github.com/pawelgaczynski/giouring"
	"github.com/stretchr/testify/require"
)

// giouring's constants and layouts are an independent copy of the kernel's: they
// must agree with ours.
func TestGiouringAgrees(t *testing.T) {
	for ours, theirs := range map[uint8]uint8{
		opNop: giouring.OpNop, opReadv: giouring.OpReadv, opWritev: giouring.OpWritev, opFsync: giouring.OpFsync,
		opPollAdd: giouring.OpPollAdd, opSendmsg: giouring.OpSendmsg, opRecvmsg: giouring.OpRecvmsg,
		opAccept: giouring.OpAccept, opCancel: giouring.OpAsyncCancel, opConnect: giouring.OpConnect,
		opOpenat: giouring.OpOpenat, opClose: giouring.OpClose, opRead: giouring.OpRead, opWrite: giouring.OpWrite,
		opSend: giouring.OpSend, opRecv: giouring.OpRecv, opShutdown: giouring.OpShutdown,
		opSyncFileRange: giouring.OpSyncFileRange, opFallocate: giouring.OpFallocate, opStatx: giouring.OpStatx,
		opFadvise: giouring.OpFadvise, opOpenat2: giouring.OpOpenat2, opRenameat: giouring.OpRenameat,
		opUnlinkat: giouring.OpUnlinkat, opMkdirat: giouring.OpMkdirat, opSymlinkat: giouring.OpSymlinkat, opLinkat: giouring.OpLinkat,
		opMadvise: giouring.OpMadvise, opFsetxattr: giouring.OpFsetxattr, opSetxattr: giouring.OpSetxattr,
		opFgetxattr: giouring.OpFgetxattr, opGetxattr: giouring.OpGetxattr,
		opMsgRing: giouring.OpMsgRing,
	} {
		require.Equal(t, theirs, ours)
	}
	for ours, theirs := range map[uint32]uint32{
		setupCQSize: giouring.SetupCQSize, setupClamp: giouring.SetupClamp, setupDisabled: giouring.SetupRDisabled,
		setupSubmitAll: giouring.SetupSubmitAll, setupCoopTaskrun: giouring.SetupCoopTaskrun,
		setupTaskrunFlag: giouring.SetupTaskrunFlag, setupSingleIssuer: giouring.SetupSingleIssuer,
		setupDeferTaskrun: giouring.SetupDeferTaskrun, setupNoSQArray: 1 << 16, // newer than giouring
	} {
		require.Equal(t, theirs, ours)
	}
	require.EqualValues(t, giouring.FeatNoDrop, featNoDrop)
	require.EqualValues(t, giouring.FeatSubmitStable, featSubmitStable)
	require.EqualValues(t, giouring.FeatExtArg, featExtArg)
	require.Equal(t, unsafe.Sizeof(giouring.SubmissionQueueEntry{}), unsafe.Sizeof(sqe{}))
	require.Equal(t, unsafe.Offsetof(giouring.SubmissionQueueEntry{}.UserData), unsafe.Offsetof(sqe{}.userData))
	require.Equal(t, unsafe.Sizeof(giouring.CompletionQueueEvent{}), unsafe.Sizeof(cqe{}))
	require.Equal(t, unsafe.Sizeof(giouring.Params{}), unsafe.Sizeof(params{}))
}
