package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/require"
)

func TestFewDescriptorsAreEnough(t *testing.T) {
	root, want := plant(t)
	harness.EachEngine(t, func(t *testing.T, engine string) {
		var out, errs bytes.Buffer
		c := child(t, 30, "-engine", engine, root)
		c.Stdout, c.Stderr = &out, &errs
		require.NoError(t, c.Run(), &errs)
		same(t, want, out.String())
	})
}

func TestAnInterruptEndsItAtOnce(t *testing.T) {
	root := t.TempDir()
	tiny, huge := filepath.Join(root, "a"), filepath.Join(root, "b")
	write(t, tiny, 10)
	write(t, huge, 0)
	require.NoError(t, os.Truncate(huge, 1<<40)) // would take minutes
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c := child(t, 100, "-engine", engine, root)
		var errs bytes.Buffer
		c.Stderr = &errs
		out, err := c.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, c.Start())
		lines := bufio.NewReader(out)
		first, err := lines.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, expectLine(t, tiny), first)
		start := time.Now()
		require.NoError(t, c.Process.Signal(os.Interrupt))
		_ = c.Wait()
		require.Less(t, time.Since(start), time.Second)
		require.Equal(t, interrupted, c.ProcessState.ExitCode())
		require.Empty(t, errs.String())
	})
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestAnOutputThatFailsEndsIt(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "a"), 10)
	write(t, filepath.Join(root, "b"), 0)
	require.NoError(t, os.Truncate(filepath.Join(root, "b"), 1<<40))
	harness.EachEngine(t, func(t *testing.T, engine string) {
		c, err := parse([]string{"-engine", engine, root}, io.Discard)
		require.NoError(t, err)
		var errs bytes.Buffer
		require.Equal(t, 1, run(context.Background(), c, fullDisk{}, &console{to: &errs}))
		require.Equal(t, "sum: write: no space left on device\n", errs.String())
	})
}

func TestNothingToSumIsNoError(t *testing.T) {
	require.Equal(t, result{}, runSum(t, t.TempDir()))
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	for _, args := range []string{"", "-depth 0 x", "-block 0 x", "-block 1T x", "-block 4G x", "-direct -block 1000 x", "-depth -1 x"} {
		_, err := parse(strings.Fields(args), io.Discard)
		require.Error(t, err, args)
	}
}

func TestSizesHaveUnits(t *testing.T) {
	for text, n := range map[string]size{"1": 1, "4095": 4095, "4K": 4096, "128K": 128 << 10, "3M": 3 << 20, "1G": 1 << 30} {
		var s size
		require.NoError(t, s.Set(text))
		require.Equal(t, n, s)
		require.Equal(t, text, s.String())
	}
}

func TestTheProgressLineGivesWay(t *testing.T) {
	var b bytes.Buffer
	c := &console{to: &b, terminal: true}
	c.show("1 of 2")
	c.show("2 of 2")
	c.fail("x", &os.PathError{Op: "open", Path: "x", Err: syscall.EACCES})
	c.say("y")
	require.Equal(t, "\r\033[K1 of 2\r\033[K2 of 2\r\033[Ksum: x: permission denied\ny\n", b.String())
}
