package op

import (
	"math"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestTableIsComplete(t *testing.T) {
	seen := map[string]bool{}
	for c := None + 1; c < NumCodes; c++ {
		i := c.Info()
		require.NotEmpty(t, i.Name, "code %d has no row in the table", c)
		require.NotEmpty(t, i.Man, i.Name)
		require.False(t, seen[i.Name], "two codes are named %s", i.Name)
		seen[i.Name] = true
		require.True(t, i.Way != ByLoop || i.Kernel == Version{}, "%s: what the loop does needs no kernel", i.Name)
		if i.Line != NoLine {
			require.True(t, i.Handle, "%s waits in a line of its handle", i.Name)
		}
	}
	require.Equal(t, "code(0)", None.String())
}

// The verbs are what callers have: each code has one that prepares it.
func TestEveryCodeHasAVerb(t *testing.T) {
	var h Handle
	verbs := map[Code]func(*Op){
		Nop:       func(o *Op) { o.Nop() },
		Accept:    func(o *Op) { o.Accept(&h) },
		Connect:   func(o *Op) { o.Connect(&h, new(Sockaddr)) },
		Recv:      func(o *Op) { o.Recv(&h, nil) },
		Recvv:     func(o *Op) { o.Recvv(&h, nil) },
		Send:      func(o *Op) { o.Send(&h, nil) },
		Sendv:     func(o *Op) { o.Sendv(&h, nil) },
		Shutdown:  func(o *Op) { o.Shutdown(&h, 1) },
		Close:     func(o *Op) { o.Close(&h, 0) },
		ReadAt:    func(o *Op) { o.ReadAt(&h, nil, 0) },
		ReadvAt:   func(o *Op) { o.ReadvAt(&h, nil, 0) },
		WriteAt:   func(o *Op) { o.WriteAt(&h, nil, 0) },
		WritevAt:  func(o *Op) { o.WritevAt(&h, nil, 0) },
		Fsync:     func(o *Op) { o.Fsync(&h) },
		Fdatasync: func(o *Op) { o.Fdatasync(&h) },
		OpenAt:    func(o *Op) { o.OpenAt(nil, "x", 0, 0) },
		Poll:      func(o *Op) { o.Poll(&h, 1) },
		Timeout:   func(o *Op) { o.Timeout(1) },
		Cancel:    func(o *Op) { o.Cancel(Ticket{}) },

		AcceptEach: func(o *Op) { o.AcceptEach(&h) },
		RecvEach:   func(o *Op) { o.RecvEach(&h) },

		RecvMsg:     func(o *Op) { o.RecvMsg(&h, new(Message)) },
		SendMsg:     func(o *Op) { o.SendMsg(&h, new(Message)) },
		RecvMsgEach: func(o *Op) { o.RecvMsgEach(&h, 0) },
		SendMsgs:    func(o *Op) { o.SendMsgs(&h, nil) },

		StatxAt:       func(o *Op) { o.Statx(nil, "x", 0, 0, new(Statx)) },
		OpenAt2:       func(o *Op) { o.OpenAt2(nil, "x", OpenHow{}) },
		UnlinkAt:      func(o *Op) { o.UnlinkAt(nil, "x", 0) },
		RenameAt:      func(o *Op) { o.RenameAt(nil, "x", nil, "y", 0) },
		MkdirAt:       func(o *Op) { o.MkdirAt(nil, "x", 0) },
		LinkAt:        func(o *Op) { o.LinkAt(nil, "x", nil, "y", 0) },
		SymlinkAt:     func(o *Op) { o.SymlinkAt("x", nil, "y") },
		Ftruncate:     func(o *Op) { o.Ftruncate(&h, 0) },
		Fallocate:     func(o *Op) { o.Fallocate(&h, 0, 0, 1) },
		Fadvise:       func(o *Op) { o.Fadvise(&h, 0, 1, 0) },
		Work:          func(o *Op) { o.Work(func() {}) },
		Madvise:       func(o *Op) { o.Madvise(nil, 0) },
		Getxattr:      func(o *Op) { o.Getxattr("x", "user.x", nil) },
		Setxattr:      func(o *Op) { o.Setxattr("x", "user.x", nil, 0) },
		Listxattr:     func(o *Op) { o.Listxattr("x", nil) },
		Removexattr:   func(o *Op) { o.Removexattr("x", "user.x") },
		Preadv2:       func(o *Op) { o.Preadv2(&h, nil, 0, 0) },
		Pwritev2:      func(o *Op) { o.Pwritev2(&h, nil, 0, 0) },
		Getdents:      func(o *Op) { o.Getdents(&h, nil) },
		CopyFileRange: func(o *Op) { o.CopyFileRange(&h, 0, &h, 0, 0) },
		SyncFileRange: func(o *Op) { o.SyncFileRange(&h, 0, 1, 0) },
		SendFile:      func(o *Op) { o.SendFile(&h, &h, 0, 1) },
		SpliceIn:      func(o *Op) { o.SpliceIn(&h, 0, new(Pipe), 1) },
		SpliceOut:     func(o *Op) { o.SpliceOut(&h, 0, new(Pipe), 0) },
		Tee:           func(o *Op) { o.Tee(new(Pipe), new(Pipe), 1) },
		SendZC:        func(o *Op) { o.SendZeroCopy(&h, nil) },

		WaitID:    func(o *Op) { o.WaitID(&h, new(Exit), 0) },
		FutexWait: func(o *Op) { o.FutexWait(new(uint32), 0) },
		FutexWake: func(o *Op) { o.FutexWake(new(uint32), 1) },
	}
	for c := None + 1; c < NumCodes; c++ {
		require.Contains(t, verbs, c, c.String())
		o := &Op{}
		verbs[c](o)
		require.Equal(t, c, o.Code())
		require.Equal(t, c.Info().Handle, o.Req().Handle != nil, c.String())
	}
}

// An Op is embedded twice in every connection: its size is part of the design.
func TestSizes(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) == 8 {
		require.LessOrEqual(t, unsafe.Sizeof(Op{}), uintptr(104))
		require.LessOrEqual(t, unsafe.Sizeof(Handle{}), uintptr(128))
	}
}

func TestTicketNamesOneSubmission(t *testing.T) {
	o := &Op{}
	require.False(t, Ticket{}.Current())
	first := o.Nop().Claim()
	require.True(t, first.Current())
	o.Yield()
	require.False(t, first.Current())
	second := o.Nop().Claim()
	current, isFirst := first.Ask()
	require.False(t, current, "a ticket of an earlier submission")
	require.False(t, isFirst)
	current, isFirst = second.Ask()
	require.True(t, current)
	require.True(t, isFirst)
	_, isFirst = second.Ask()
	require.False(t, isFirst, "a submission is asked once")
}

func TestListKeepsItsOrderWhenTheMiddleIsRemoved(t *testing.T) {
	var l List
	ops := make([]Op, 5)
	for i := range ops {
		l.Push(&ops[i])
	}
	l.Remove(&ops[2])
	l.Remove(&ops[0])
	l.Remove(&ops[4])
	require.Same(t, &ops[1], l.Pop())
	require.Same(t, &ops[3], l.Pop())
	require.Nil(t, l.Pop())
	require.True(t, l.Empty())
}

func TestATableKeepsItsElementsWhereTheyAre(t *testing.T) {
	var x Table[int]
	var at []*int
	for i := range 1000 {
		require.EqualValues(t, i, x.Add())
		at = append(at, x.At(uint32(i)))
		*at[i] = i
	}
	for i := range 1000 {
		require.Same(t, at[i], x.At(uint32(i)))
		require.Equal(t, i, *at[i])
	}
	for range 744 {
		x.Drop()
	}
	require.EqualValues(t, 256, x.Len())
	require.EqualValues(t, 256, x.Add())
	require.Zero(t, *x.At(256), "a dropped element is zero again")
}

// Far is not at once.
func TestDeadlinesBeyondTheClockAreAsLateAsItGoes(t *testing.T) {
	var h Handle
	o := new(Op).Recv(&h, nil)
	require.EqualValues(t, int64(math.MaxInt64), o.SetTimeout(math.MaxInt64).req.When)
	o.SetDeadline(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
	require.EqualValues(t, int64(math.MaxInt64), o.req.When)
	require.EqualValues(t, 1, o.SetDeadline(time.Unix(0, 0)).req.When)
	require.EqualValues(t, 1, o.SetTimeout(math.MinInt64).req.When)
}
