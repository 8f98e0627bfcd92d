package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
)

// A file's type is kept with the file. Where nobody has set it (ENODATA), or the file
// system has no such attributes (ENOTSUP), it is guessed.
func ExampleLoop_Setxattr() {
	dir, err := os.MkdirTemp("", "proactor")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	name, text := filepath.Join(dir, "page"), []byte("<html>...")
	_ = os.WriteFile(name, text, 0o600)

	loop, err := proactor.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = loop.Setxattr(name, "user.mime_type", []byte("text/html; charset=utf-8"), 0, func(error) {
		_, _ = loop.Getxattr(name, "user.mime_type", func(value []byte, err error) {
			if err != nil {
				value = []byte(http.DetectContentType(text))
			}
			fmt.Println(string(value))
			_ = loop.Close()
		})
	})
	_ = loop.Run(context.Background())
	// Output: text/html; charset=utf-8
}

// An attribute of an open file, from its beginning to its end.
func ExampleFile_Setxattr() {
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
	fine := func(err error) bool { return err == nil || errors.Is(err, errors.ErrUnsupported) } // by the file system
	_, _ = loop.OpenFile(filepath.Join(dir, "data"), os.O_RDWR|os.O_CREATE, 0o600, func(f *proactor.File, err error) {
		if err != nil {
			fmt.Println(err)
			return
		}
		_, _ = f.Setxattr("user.state", []byte("draft"), 0, func(set error) {
			fmt.Println("set", fine(set))
			_, _ = f.Listxattr(func(names []string, err error) {
				fmt.Println("listed", fine(err) && slices.Contains(names, "user.state") == (set == nil))
				_, _ = f.Removexattr("user.state", func(err error) {
					fmt.Println("removed", fine(err))
					_ = f.Close(func(error) { _ = loop.Close() })
				})
			})
		})
	})
	_ = loop.Run(context.Background())
	// Output:
	// set true
	// listed true
	// removed true
}
