//go:build linux

package optest

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The tests of what is done with files besides reading and writing.
var fileTests = []test{
	{"File_StatTellsWhatOSTells", fileStat},
	{"File_StatFollowsALinkOrNot", fileLinks},
	{"File_NamesAreMadeMovedAndRemoved", fileNames},
	{"File_NamesBelowADirectoryOfTheLoop", fileBelow},
	{"File_ErrorsAreThoseOfTheSystem", fileErrors},
	{"File_ErrorsAreThoseOfPackageOS", fileOSErrors},
	{"File_ErrorsOfTheLibraryStayFindable", fileOwnErrors},
	{"File_AClosureReadAllocatesNothing", fileClosureAllocs},
	{"File_AdviceOnMemory", memoryAdvice},
	{"File_Attributes", attributes},
	{"File_LongAttributes", longAttributes},
	{"File_AttributesOfRawOperations", rawAttributes},
	{"File_ReadsAndWritesWithFlags", flagged},
	{"File_ANowaitReadEndsWhereTheDiskIsNeeded", nowaitRead},
	{"File_FlagsGiveTheSameResults", sameOf(flaggedCases)},
	{"File_AFlaggedReadAllocatesNothing", flaggedAllocs},
	{"File_ADirectoryIsListed", listing},
	{"File_ADirectoryLosesItsEntriesMeanwhile", listingMeanwhile},
	{"File_GetdentsBringsAllEntries", getdents},
	{"File_WhatWaitsForAWorkerCanBeCancelled", cancelWaiting},
	{"File_ASecondHandleIsHeld", secondHolds},
	{"File_AnAbortOfTheSecondHandleEndsWhatWaits", secondAborted},
	{"File_ASecondHandleRefuses", secondRefuses},
	{"File_TwoHandlesCloseWhileOthersSubmit", secondRace},
	{"File_ACopyIsWhole", copies},
	{"File_ACopysErrorsAreTheKernels", copyErrors},
	{"File_ACopyGoesPieceByPiece", copyPieces},
	{"File_DirectReadsOfAnyLength", directAnyLength},
	{"File_DirectAccessThatIsNotAligned", directUnaligned},
	{"File_ManyDirectWritesAndReadsAtOnce", directMany},
	{"File_DirectAccessIsCancelledAndClosed", directCancelled},
	{"File_ADiskThatIsFullTakesWhatFits", fullDisk},
	{"File_AQuotaThatIsUsedUpTakesWhatFits", fullQuota},
	{"File_OpenAt2StaysBeneath", fileBeneath},
	{"File_TruncateAndAllocate", fileSizes},
	{"File_RangesBeyond32Bits", fileLongRanges},
	{"File_ImpossibleArgumentsAreRefused", fileInvalid},
}

// info waits for what a Stat brings.
func info(e *env, f func(func(*proactor.FileInfo, error)) (op.Ticket, error)) (*proactor.FileInfo, error) {
	e.Helper()
	type answer struct {
		i   *proactor.FileInfo
		err error
	}
	c := make(chan answer, 1)
	_, err := f(func(i *proactor.FileInfo, err error) { c <- answer{i, err} })
	require.NoError(e, err)
	a := await(e, c)
	return a.i, a.err
}

// ends waits for the error that an operation ends with.
func ends(e *env, f func(func(error)) (op.Ticket, error)) error {
	e.Helper()
	return plain(e, func(done func(error)) error {
		_, err := f(done)
		return err
	})
}

func (e *env) sameInfo(want os.FileInfo, got *proactor.FileInfo) {
	e.Helper()
	require.Equal(e, want.Name(), got.Name())
	require.Equal(e, want.Size(), got.Size())
	require.Equal(e, want.Mode(), got.Mode())
	require.Equal(e, want.IsDir(), got.IsDir())
	require.WithinDuration(e, want.ModTime(), got.ModTime(), 0)
	s := want.Sys().(*syscall.Stat_t)
	require.EqualValues(e, s.Ino, got.Statx.Ino)
	require.EqualValues(e, s.Nlink, got.Statx.Nlink)
	require.EqualValues(e, s.Uid, got.Statx.UID)
	require.EqualValues(e, s.Blocks, got.Statx.Blocks)
	require.WithinDuration(e, time.Unix(s.Ctim.Unix()), got.Statx.Ctime.Time(), 0)
}

func fileStat(e *env) {
	l := e.start()
	dir := e.TempDir()
	file, pipe := filepath.Join(dir, "file"), filepath.Join(dir, "pipe")
	require.NoError(e, os.WriteFile(file, make([]byte, 12345), 0o640))
	require.NoError(e, os.Chmod(file, 0o4755|os.ModeSetuid|os.ModeSticky))
	require.NoError(e, unix.Mkfifo(pipe, 0o600))
	for _, name := range []string{file, pipe, dir, "/dev/null", "/"} {
		want, err := os.Stat(name)
		require.NoError(e, err)
		got, err := info(e, func(done func(*proactor.FileInfo, error)) (op.Ticket, error) { return l.Stat(name, done) })
		require.NoError(e, err)
		if name == "/dev/null" {
			require.Equal(e, want.Mode(), got.Mode())
			continue // others write to it
		}
		e.sameInfo(want, got)
	}
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(e, err)
	f, err := l.NewFile(fd, file)
	require.NoError(e, err)
	want, err := os.Stat(file)
	require.NoError(e, err)
	got, err := info(e, f.Stat)
	require.NoError(e, err)
	e.sameInfo(want, got)
}

func fileLinks(e *env) {
	l := e.start()
	dir := e.TempDir()
	file, link, hard := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "hard")
	require.NoError(e, os.WriteFile(file, []byte("abc"), 0o600))
	require.NoError(e, ends(e, func(done func(error)) (op.Ticket, error) { return l.Symlink("file", link, done) }))
	require.NoError(e, ends(e, func(done func(error)) (op.Ticket, error) { return l.Link(file, hard, done) }))
	to, err := os.Readlink(link)
	require.NoError(e, err)
	require.Equal(e, "file", to)
	i, err := info(e, func(done func(*proactor.FileInfo, error)) (op.Ticket, error) { return l.Stat(link, done) })
	require.NoError(e, err)
	require.True(e, i.Mode().IsRegular())
	require.EqualValues(e, 3, i.Size())
	require.EqualValues(e, 2, i.Statx.Nlink)
	i, err = info(e, func(done func(*proactor.FileInfo, error)) (op.Ticket, error) { return l.Lstat(link, done) })
	require.NoError(e, err)
	require.Equal(e, fs.ModeSymlink, i.Mode().Type())
}

func fileNames(e *env) {
	l := e.start()
	dir := filepath.Join(e.TempDir(), "dir")
	require.NoError(e, ends(e, func(done func(error)) (op.Ticket, error) { return l.Mkdir(dir, 0o750, done) }))
	st, err := os.Stat(dir)
	require.NoError(e, err)
	require.Equal(e, fs.ModeDir|0o750, st.Mode())
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	require.NoError(e, os.WriteFile(one, []byte("1"), 0o600))
	require.NoError(e, os.WriteFile(two, []byte("2"), 0o600))
	require.NoError(e, ends(e, func(done func(error)) (op.Ticket, error) { return l.Rename(one, two, done) }))
	require.NoFileExists(e, one)
	b, err := os.ReadFile(two)
	require.NoError(e, err)
	require.Equal(e, "1", string(b))
	remove := func(name string) error {
		return ends(e, func(done func(error)) (op.Ticket, error) { return l.Remove(name, done) })
	}
	require.ErrorIs(e, remove(dir), syscall.ENOTEMPTY)
	require.NoError(e, remove(two))
	require.NoError(e, remove(dir))
	require.NoDirExists(e, dir)
}

func fileBelow(e *env) {
	e.start()
	root := e.TempDir()
	open := func(name string) *op.Handle {
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return e.register(fd, err)
	}
	do := func(f func(o *op.Op) *op.Op) {
		e.Helper()
		_, err := e.do(f)
		require.NoError(e, err)
	}
	r := open(root)
	do(func(o *op.Op) *op.Op { return o.MkdirAt(r, "a", 0o700) })
	do(func(o *op.Op) *op.Op { return o.MkdirAt(r, "b", 0o700) })
	a, b := open(filepath.Join(root, "a")), open(filepath.Join(root, "b"))
	do(func(o *op.Op) *op.Op { return o.SymlinkAt("target", a, "link") })
	do(func(o *op.Op) *op.Op { return o.RenameAt(a, "link", b, "moved", 0) })
	do(func(o *op.Op) *op.Op { return o.LinkAt(b, "moved", a, "again", 0) })
	for _, name := range []string{"a/again", "b/moved"} {
		to, err := os.Readlink(filepath.Join(root, name))
		require.NoError(e, err)
		require.Equal(e, "target", to)
	}
	_, err := e.do(func(o *op.Op) *op.Op { return o.RenameAt(a, "again", b, "moved", unix.RENAME_NOREPLACE) })
	require.ErrorIs(e, err, syscall.EEXIST)
	do(func(o *op.Op) *op.Op { return o.UnlinkAt(a, "again", 0) })
	do(func(o *op.Op) *op.Op { return o.UnlinkAt(r, "a", unix.AT_REMOVEDIR) })
	var st op.Statx
	do(func(o *op.Op) *op.Op { return o.Statx(b, "moved", unix.AT_SYMLINK_NOFOLLOW, unix.STATX_SIZE, &st) })
	require.EqualValues(e, len("target"), st.Size())
}

func fileErrors(e *env) {
	l := e.start()
	missing := filepath.Join(e.TempDir(), "missing")
	_, err := info(e, func(done func(*proactor.FileInfo, error)) (op.Ticket, error) { return l.Stat(missing, done) })
	require.ErrorIs(e, err, fs.ErrNotExist)
	for name, f := range map[string]func(func(error)) (op.Ticket, error){
		"rename": func(done func(error)) (op.Ticket, error) { return l.Rename(missing, missing+"2", done) },
		"remove": func(done func(error)) (op.Ticket, error) { return l.Remove(missing, done) },
		"link":   func(done func(error)) (op.Ticket, error) { return l.Link(missing, missing+"2", done) },
		"mkdir":  func(done func(error)) (op.Ticket, error) { return l.Mkdir(missing+"/x", 0o700, done) },
	} {
		require.ErrorIs(e, ends(e, f), fs.ErrNotExist, name)
	}
	err = ends(e, func(done func(error)) (op.Ticket, error) { return l.Mkdir(e.TempDir(), 0o700, done) })
	require.ErrorIs(e, err, fs.ErrExist)
	require.ErrorContains(e, err, "mkdir /")
}

func fileBeneath(e *env) {
	e.start()
	root := e.TempDir()
	require.NoError(e, os.WriteFile(filepath.Join(root, "inside"), nil, 0o600))
	require.NoError(e, os.Symlink("../..", filepath.Join(root, "out")))
	fd, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	dir := e.register(fd, err)
	how := op.OpenHow{Flags: unix.O_RDONLY, Resolve: unix.RESOLVE_BENEATH}
	n, err := e.do(func(o *op.Op) *op.Op { return o.OpenAt2(dir, "inside", how) })
	if err != nil && os.Getenv("PROACTOR_TEST_RING") == "" {
		require.ErrorIs(e, err, syscall.ENOSYS)
		e.Skip("no openat2 here") // 5.6, and some sandboxes
	}
	require.NoError(e, err)
	flags, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0)
	require.NoError(e, err)
	require.NotZero(e, flags&unix.FD_CLOEXEC)
	require.NoError(e, unix.Close(n))
	for _, flags := range []uint64{0, unix.O_NONBLOCK} { // an engine may try the latter otherwise
		how.Flags = unix.O_RDONLY | flags
		for range 2 { // the kernel can have the name by then
			for _, path := range []string{"/etc/passwd", "out/x", "../x"} {
				_, err = e.do(func(o *op.Op) *op.Op { return o.OpenAt2(dir, path, how) })
				require.ErrorIs(e, err, syscall.EXDEV, path)
			}
			_, err = e.do(func(o *op.Op) *op.Op { return o.OpenAt2(dir, "nothing", how) })
			require.ErrorIs(e, err, fs.ErrNotExist)
			n, err := e.do(func(o *op.Op) *op.Op { return o.OpenAt2(dir, "inside", how) })
			require.NoError(e, err)
			require.NoError(e, unix.Close(n))
		}
	}
	_, err = e.do(func(o *op.Op) *op.Op {
		return o.OpenAt2(dir, "inside", op.OpenHow{Flags: unix.O_NONBLOCK, Resolve: 1 << 40})
	})
	require.ErrorIs(e, err, syscall.EINVAL)
}

func fileSizes(e *env) {
	l := e.start()
	path := filepath.Join(e.TempDir(), "file")
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	require.NoError(e, err)
	f, err := l.NewFile(fd, path)
	require.NoError(e, err)
	size := func() int64 {
		n, err := f.Size()
		require.NoError(e, err)
		return n
	}
	require.NoError(e, ends(e, func(done func(error)) (op.Ticket, error) { return f.Truncate(5<<30, done) }))
	require.Equal(e, int64(5)<<30, size())
	require.NoError(e, ends(e, func(done func(error)) (op.Ticket, error) { return f.Truncate(10, done) }))
	require.EqualValues(e, 10, size())
	err = ends(e, func(done func(error)) (op.Ticket, error) { return f.Allocate(4096, 8192, done) })
	if err != nil {
		require.ErrorIs(e, err, syscall.EOPNOTSUPP) // the file system can't
		return
	}
	require.EqualValues(e, 4096+8192, size())
	i, err := info(e, f.Stat)
	require.NoError(e, err)
	require.GreaterOrEqual(e, i.Statx.Blocks, uint64(8192/512))
}

func fileLongRanges(e *env) {
	e.start()
	f, _ := e.file(pattern(0, 10_000))
	for _, n := range []int64{0, 1, 1<<32 - 1, 1 << 32, 1 << 40} {
		_, err := e.do(func(o *op.Op) *op.Op { return o.Fadvise(f, 0, n, unix.FADV_WILLNEED) })
		require.NoError(e, err)
		_, err = e.do(func(o *op.Op) *op.Op { return o.SyncFileRange(f, 0, n, unix.SYNC_FILE_RANGE_WRITE) })
		require.NoError(e, err)
	}
	_, err := e.do(func(o *op.Op) *op.Op { return o.Fadvise(f, 0, 1, 99) })
	require.ErrorIs(e, err, syscall.EINVAL)
}

func fileInvalid(e *env) {
	l := e.start()
	f, _ := e.file(nil)
	for _, o := range []*op.Op{
		new(op.Op).Ftruncate(f, -1), new(op.Op).Fallocate(f, 0, -1, 1), new(op.Op).Fallocate(f, 0, 0, -1),
		new(op.Op).MkdirAt(nil, "a\x00b", 0), new(op.Op).RenameAt(nil, "a", nil, "a\x00b", 0),
	} {
		o.Done = func(*op.Op) {}
		_, err := l.Submit(o)
		require.ErrorIs(e, err, op.ErrInvalid)
	}
}
