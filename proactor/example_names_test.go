package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// What a path leads to; FileInfo.Statx has all that the kernel tells.
func ExampleLoop_Stat() {
	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = loop.Stat("/dev/null", func(i *proactor.FileInfo, err error) {
		if err != nil {
			fmt.Println(err)
		} else {
			fmt.Println(i.Name(), i.IsDir(), i.Mode().Type() == fs.ModeDevice|fs.ModeCharDevice)
		}
		_ = loop.Close()
	})
	_ = loop.Run(context.Background())
	// Output: null false true
}

// A directory that may be there already.
func ExampleLoop_Mkdir() {
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
	cache := filepath.Join(dir, "cache")
	_, _ = loop.Mkdir(cache, 0o700, func(err error) {
		fmt.Println("made", err)
		_, _ = loop.Mkdir(cache, 0o700, func(err error) {
			fmt.Println("there already:", errors.Is(err, fs.ErrExist))
			_ = loop.Close()
		})
	})
	_ = loop.Run(context.Background())
	// Output:
	// made <nil>
	// there already: true
}

// Files and empty directories alike.
func ExampleLoop_Remove() {
	dir, err := os.MkdirTemp("", "proactor")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "data")
	_ = os.WriteFile(name, nil, 0o600)

	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = loop.Remove(name, func(err error) {
		fmt.Println("file", err)
		_, _ = loop.Remove(dir, func(err error) {
			fmt.Println("directory", err)
			_ = loop.Close()
		})
	})
	_ = loop.Run(context.Background())
	// Output:
	// file <nil>
	// directory <nil>
}

// A second name, which holds the file when the first is gone.
func ExampleLoop_Link() {
	dir, err := os.MkdirTemp("", "proactor")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	name, backup := filepath.Join(dir, "data"), filepath.Join(dir, "backup")
	_ = os.WriteFile(name, []byte("text"), 0o600)

	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = loop.Link(name, backup, func(err error) {
		fmt.Println("linked", err)
		_, _ = loop.Remove(name, func(error) { _ = loop.Close() })
	})
	_ = loop.Run(context.Background())
	b, err := os.ReadFile(backup)
	fmt.Println(string(b), err)
	// Output:
	// linked <nil>
	// text <nil>
}

// The new version of something is put in place at once: a link is made beside the old
// one, and takes its name.
func ExampleLoop_Symlink() {
	dir, err := os.MkdirTemp("", "proactor")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	current, next := filepath.Join(dir, "current"), filepath.Join(dir, "next")
	_ = os.Symlink("version-1", current)

	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = loop.Symlink("version-2", next, func(err error) {
		if err != nil {
			fmt.Println(err)
		}
		_, _ = loop.Rename(next, current, func(error) { _ = loop.Close() })
	})
	_ = loop.Run(context.Background())
	to, err := os.Readlink(current)
	fmt.Println(to, err)
	// Output: version-2 <nil>
}

// Lstat looks at a link itself, which may lead nowhere.
func ExampleLoop_Lstat() {
	dir, err := os.MkdirTemp("", "proactor")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "link")
	_ = os.Symlink("nowhere", name)

	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = loop.Lstat(name, func(i *proactor.FileInfo, err error) {
		if err != nil {
			fmt.Println(err)
		} else {
			fmt.Println("a link:", i.Mode().Type() == fs.ModeSymlink)
		}
		_, _ = loop.Stat(name, func(_ *proactor.FileInfo, err error) {
			fmt.Println("to nothing:", errors.Is(err, fs.ErrNotExist))
			_ = loop.Close()
		})
	})
	_ = loop.Run(context.Background())
	// Output:
	// a link: true
	// to nothing: true
}
