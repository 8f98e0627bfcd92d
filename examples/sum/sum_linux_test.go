package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-2ff0fea0/go-proactor/examples/internal/harness"
	"github.com/stretchr/testify/require"
)

func TestSumsAreRight(t *testing.T) {
	root, want := plant(t)
	harness.EachEngine(t, func(t *testing.T, engine string) {
		for _, flags := range []string{
			"-depth=1 -block=4K", "-depth=2 -block=4K", "-depth=128 -block=4K", "-depth=3 -block=1000",
			"-depth=128", "-depth=1 -block=4K -direct", "-depth=128 -block=4K -direct", "-direct",
		} {
			t.Run(flags, func(t *testing.T) {
				r := runSum(t, append(strings.Fields("-engine="+engine+" "+flags), root)...)
				require.Zero(t, r.code)
				same(t, want, r.out)
				if !strings.Contains(flags, "-direct") {
					require.Empty(t, r.errs)
				}
			})
		}
	})
}

func TestTheOutputIsThatOfSha256sum(t *testing.T) {
	tool, err := exec.LookPath("sha256sum")
	if err != nil {
		t.Skip("sha256sum is not installed")
	}
	root, want := plant(t)
	paths, failed := walk(context.Background(), []string{root}, &console{to: io.Discard})
	require.False(t, failed)
	out, err := exec.Command(tool, append([]string{"--"}, paths...)...).Output()
	require.NoError(t, err)
	if !strings.Contains(string(out), `carriage\rreturn`) {
		t.Skip("this sha256sum doesn't escape carriage returns")
	}
	same(t, string(out), want)
	r := runSum(t, root)
	same(t, string(out), r.out)
}

func TestArgumentsStayAsTheyAreWritten(t *testing.T) {
	root, _ := plant(t)
	t.Chdir(root)
	r := runSum(t, "link", "./many/7", "names//", "many/7", "many/7")
	require.Zero(t, r.code)
	var paths []string
	for _, l := range strings.Split(strings.TrimSuffix(r.out, "\n"), "\n") {
		_, path, _ := strings.Cut(l, "  ")
		paths = append(paths, path)
	}
	require.Equal(t, []string{"./many/7", "link", "many/7", "many/7", "names//-", "names//a b", "names//a.b", "names//a/b"}, paths[:8])
}

func TestWhatCannotBeReadIsNamedAndTheRestIsSummed(t *testing.T) {
	root := t.TempDir()
	good, dangling, fifo := filepath.Join(root, "good"), filepath.Join(root, "dangling"), filepath.Join(root, "fifo")
	write(t, good, 10)
	require.NoError(t, os.Symlink("nowhere", dangling))
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	harness.EachEngine(t, func(t *testing.T, engine string) {
		r := runSum(t, "-engine", engine, dangling, good, fifo)
		require.Equal(t, 1, r.code)
		require.Equal(t, expectLine(t, good), r.out)
		require.Equal(t, "sum: "+dangling+": no such file or directory\nsum: "+fifo+": not a regular file\n", r.errs)
	})
}

func TestAReadErrorIsNamed(t *testing.T) {
	// The pages of address 0 belong to nobody.
	const memory = "/proc/self/mem"
	root := t.TempDir()
	good := filepath.Join(root, "good")
	write(t, good, 10)
	harness.EachEngine(t, func(t *testing.T, engine string) {
		r := runSum(t, "-engine", engine, memory, good)
		require.Equal(t, 1, r.code)
		require.Equal(t, expectLine(t, good), r.out)
		require.Equal(t, "sum: "+memory+": input/output error\n", r.errs)
	})
}

func TestFilesThatCannotBeOpenedAreNamed(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can open every file")
	}
	root := t.TempDir()
	secret := filepath.Join(root, "secret")
	write(t, secret, 10)
	require.NoError(t, os.Chmod(secret, 0))
	require.NoError(t, os.Mkdir(filepath.Join(root, "closed"), 0))
	harness.EachEngine(t, func(t *testing.T, engine string) {
		r := runSum(t, "-engine", engine, root)
		require.Equal(t, result{1, "", "sum: " + root + "/closed: permission denied\nsum: " + secret + ": permission denied\n"}, r)
	})
}

// Files that say nothing of their size, or too much: of one page, which for
// small blocks is several.
func TestTheEndIsWhereAReadFindsIt(t *testing.T) {
	for _, path := range []string{"/proc/filesystems", "/proc/kallsyms", "/sys/kernel/fscaps", "/proc/version"} {
		if _, err := os.ReadFile(path); err != nil {
			continue
		}
		want := expectLine(t, path)
		harness.EachEngine(t, func(t *testing.T, engine string) {
			for _, flags := range []string{"-block=512", "-block=64K", "-block=64K -direct"} {
				r := runSum(t, append(strings.Fields("-engine="+engine+" "+flags), path)...)
				require.Equal(t, 0, r.code, r.errs)
				require.Equal(t, want, r.out)
				if strings.Contains(flags, "-direct") {
					require.Contains(t, r.errs, "sum: "+path+": no direct reads here (invalid argument), so through the page cache\n")
				}
			}
		})
	}
}
