package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// httpdFiles are the files that the servers have to send.
var httpdFiles = map[string]int{"1k.txt": 1 << 10, "64k.bin": 64 << 10}

func init() {
	if addr, dir, ok := strings.Cut(os.Getenv(filesVar), " "); ok { // this is a server
		fmt.Fprintln(os.Stderr, serveFiles(addr, dir))
		os.Exit(1)
	}
	for _, c := range []struct{ name, path, about string }{
		{"httpd-plaintext", "/plaintext", "Hello, World!"},
		{"httpd-1k", "/1k.txt", "a file of 1 KiB"},
		{"httpd-64k", "/64k.bin", "a file of 64 KiB"},
	} {
		contests = append(contests, contest{
			name: c.name, about: c.about + ", wrk with 64 connections", unit: "request", servers: httpdServers(),
			load: func(at place, t time.Duration) (work, error) { return wrk(at, c.path, 64, t) },
		})
	}
}

func httpdServers() []server {
	return []server{
		{"nginx", nginx("")},
		// What nginx keeps open, it looks at again as often as ours does; by default it keeps nothing.
		{"nginx-cache", nginx("open_file_cache max=1000; open_file_cache_valid 1s;")},
		{"net/http", netHTTP},
		{"epoll", httpd("epoll")},
		{"io_uring", httpd("io_uring")},
		{"epoll-uncached", httpd("epoll", "-revalidate", "0")},
		{"io_uring-uncached", httpd("io_uring", "-revalidate", "0")},
	}
}

// plantFiles makes the directory that is served.
func plantFiles(at place) (string, error) {
	dir := filepath.Join(at.Dir, "www")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	for name, n := range httpdFiles {
		b := make([]byte, n)
		for i := range b {
			b[i] = 'a' + byte(rand.IntN(26))
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			return "", err
		}
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, old, old); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func httpd(engine string, more ...string) func(at place) (*exec.Cmd, error) {
	return func(at place) (*exec.Cmd, error) {
		dir, err := plantFiles(at)
		return ours("httpd", append(append([]string{"-addr", at.Addr, "-engine", engine}, more...), dir)...), err
	}
}

// nginx has one worker; more goes into its http block.
func nginx(more string) func(at place) (*exec.Cmd, error) {
	return func(at place) (*exec.Cmd, error) {
		dir, err := plantFiles(at)
		if err != nil {
			return nil, err
		}
		conf, errs := filepath.Join(at.Dir, "nginx.conf"), filepath.Join(at.Dir, "error.log")
		text := strings.NewReplacer("DIR", at.Dir, "WWW", dir, "ADDR", at.Addr, "MORE", more).Replace(nginxConf)
		return exec.Command("nginx", "-p", at.Dir, "-e", errs, "-c", conf), os.WriteFile(conf, []byte(text), 0o644)
	}
}

// nginxConf is the usual one for such a comparison. Tcp_nopush is off, as by default: it
// would cost two more system calls for each file.
const nginxConf = `
daemon off; worker_processes 1; user root; pid DIR/pid; error_log DIR/error.log;
events { worker_connections 4096; }
http {
	access_log off; sendfile on; keepalive_requests 1000000000; MORE
	client_body_temp_path DIR/a; proxy_temp_path DIR/b; fastcgi_temp_path DIR/c; uwsgi_temp_path DIR/d; scgi_temp_path DIR/e;
	types { text/plain txt; } default_type application/octet-stream;
	server {
		listen ADDR backlog=4096; root WWW;
		location = /plaintext { default_type text/plain; return 200 "Hello, World!"; }
	}
}
`

// filesVar has this program serve a directory by net/http.
const filesVar = "PROACTOR_VERSUS_FILES"

func netHTTP(at place) (*exec.Cmd, error) {
	dir, err := plantFiles(at)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), filesVar+"="+at.Addr+" "+dir)
	return cmd, err
}

// serveFiles is net/http's FileServer, with a handler for /plaintext.
func serveFiles(addr, dir string) error {
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(dir)))
	mux.HandleFunc("/plaintext", func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"text/plain"}
		_, _ = w.Write([]byte("Hello, World!"))
	})
	return http.ListenAndServe(addr, mux)
}
