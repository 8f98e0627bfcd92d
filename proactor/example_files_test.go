package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/proactor/op"
)

// Several pieces of a file at once: reads of one file run side by side.
func ExampleFile_ReadAt() {
	dir, err := os.MkdirTemp("", "proactor")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "alphabet")
	_ = os.WriteFile(name, []byte("abcdefghijklmnopqrstuvwxyz"), 0o600)

	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = loop.OpenFile(name, os.O_RDONLY, 0, func(f *proactor.File, err error) {
		if err != nil {
			fmt.Println(err)
			return
		}
		pieces := make([]string, 4)
		left := len(pieces)
		for i := range pieces {
			buf := make([]byte, 3)
			_, _ = f.ReadAt(buf, int64(5*i), func(n int, err error) {
				pieces[i] = string(buf[:n])
				if left--; left == 0 {
					fmt.Println(pieces)
					_ = f.Close(func(error) { _ = loop.Close() })
				}
			})
		}
	})
	_ = loop.Run(context.Background())
	// Output: [abc fgh klm pqr]
}

// A write that is durable: when Sync's callback comes, the disk has it.
func ExampleFile_Sync() {
	dir, err := os.MkdirTemp("", "proactor")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = loop.OpenFile(filepath.Join(dir, "log"), os.O_WRONLY|os.O_CREATE, 0o600, func(f *proactor.File, err error) {
		if err != nil {
			fmt.Println(err)
			return
		}
		_, _ = f.WriteVec([][]byte{[]byte("head "), []byte("body")}, 0, 0, func(n int, err error) {
			fmt.Println("wrote", n, err)
			_, _ = f.Sync(true, func(err error) { // after the write: it covers what had completed
				fmt.Println("durable", err)
				_ = f.Close(func(error) { _ = loop.Close() })
			})
		})
	})
	_ = loop.Run(context.Background())
	// Output:
	// wrote 9 <nil>
	// durable <nil>
}

// Files by their names; errors are those of package os.
func ExampleLoop_Rename() {
	dir, err := os.MkdirTemp("", "proactor")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	before, after := filepath.Join(dir, "draft"), filepath.Join(dir, "final")
	_ = os.WriteFile(before, []byte("text"), 0o600)

	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = loop.Rename(before, after, func(err error) {
		fmt.Println("renamed", err)
		_, _ = loop.Stat(after, func(i *proactor.FileInfo, err error) {
			fmt.Println(i.Name(), i.Size(), i.Mode(), err)
			_, _ = loop.Stat(before, func(_ *proactor.FileInfo, err error) {
				fmt.Println("gone:", errors.Is(err, fs.ErrNotExist))
				_ = loop.Close()
			})
		})
	})
	_ = loop.Run(context.Background())
	// Output:
	// renamed <nil>
	// final 4 -rw------- <nil>
	// gone: true
}

func ExampleLoop_ReadDir() {
	dir, err := os.MkdirTemp("", "proactor")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	_ = os.WriteFile(filepath.Join(dir, "b"), nil, 0o600)
	_ = os.Mkdir(filepath.Join(dir, "a"), 0o700)

	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = loop.ReadDir(dir, func(all []fs.DirEntry, err error) {
		for _, e := range all {
			fmt.Println(e.Name(), e.IsDir())
		}
		_ = loop.Close()
	})
	_ = loop.Run(context.Background())
	// Output:
	// a true
	// b false
}

// O_DIRECT wants whole blocks: what is read has the wanted bytes somewhere in it.
func ExampleAlignRange() {
	start, length := proactor.AlignRange(5000, 100, 4096)
	fmt.Println(start, length)
	// Output: 4096 4096
}

// Memory is aligned for O_DIRECT, and on io_uring registered with the kernel.
func ExampleLoop_Memory() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	all := loop.Memory(64 << 10) // once, to be cut up
	first, second := all[:4096], all[4096:8192]
	fmt.Println(len(all), len(first), len(second))
	// Output: 65536 4096 4096
}

// A file goes to a connection without a copy through the program.
func ExampleConn_SendFile() {
	dir, err := os.MkdirTemp("", "proactor")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "page")
	_ = os.WriteFile(name, []byte("<html>..."), 0o600)

	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	ln, err := loop.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = ln.AcceptEach(func(c *proactor.Conn, err error) {
		if err != nil {
			return
		}
		_, _ = loop.OpenFile(name, os.O_RDONLY, 0, func(f *proactor.File, err error) {
			if err != nil {
				_ = c.Abort(nil)
				return
			}
			_, _ = c.SendFile(f, 0, proactor.ToTheEnd, func(n int, err error) {
				fmt.Println("sent", n, err)
				_, _ = f.Close(nil), c.Close(nil)
			})
		})
	})
	go run(loop)

	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Println(readAll(c))
	// Output:
	// sent 9 <nil>
	// <html>... <nil>
}

// Whether operations of a kind can be executed here: most can be on every engine.
func ExampleLoop_Supports() {
	loop, err := proactor.New(proactor.WithEngineName("epoll"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	fmt.Println(loop.Supports(op.Recv))
	fmt.Println(errors.Is(loop.Supports(op.FutexWait), errors.ErrUnsupported))
	// Output:
	// <nil>
	// true
}

// Room is made before it is needed: later writes don't find the disk full.
func ExampleFile_Allocate() {
	dir, err := os.MkdirTemp("", "proactor")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = loop.OpenFile(filepath.Join(dir, "log"), os.O_WRONLY|os.O_CREATE, 0o600, func(f *proactor.File, err error) {
		if err != nil {
			fmt.Println(err)
			return
		}
		size := func(error) {
			fmt.Println(f.Size())
			_ = f.Close(func(error) { _ = loop.Close() })
		}
		_, _ = f.Allocate(0, 1<<20, func(err error) {
			if errors.Is(err, errors.ErrUnsupported) { // by the file system: a size without room
				_, _ = f.Truncate(1<<20, size)
				return
			}
			size(err)
		})
	})
	_ = loop.Run(context.Background())
	// Output: 1048576 <nil>
}
