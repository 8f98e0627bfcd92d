package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/seed-2ff0fea0/go-proactor/bench/internal/lab"
	"golang.org/x/sys/unix"
)

const blockSize = 4096

// blocks is how many the file has.
var blocks int64

// theFile is what is read: each block begins with its number. It is made once, in
// the directory for temporary files, and stays for the next time. It gets its name
// when it is whole: two measurements may begin at once.
func theFile(mib int) (string, error) {
	blocks = int64(mib) << 20 / blockSize
	name := filepath.Join(os.TempDir(), fmt.Sprintf("go-proactor-bench-%d.data", mib))
	if st, err := os.Stat(name); err == nil && st.Size() == blocks*blockSize {
		return name, nil
	}
	f, err := os.CreateTemp(os.TempDir(), "go-proactor-bench-*")
	if err != nil {
		return "", err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	b := make([]byte, blockSize)
	for i := range blocks {
		binary.LittleEndian.PutUint64(b, uint64(i))
		if _, err := w.Write(b); err != nil {
			return "", errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}
	if err := errors.Join(w.Flush(), f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return name, os.Rename(f.Name(), name)
}

// warmCache brings the file into the page cache, or out of it.
func warmCache(name string, in bool) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if !in {
		return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	}
	_, err = io.Copy(struct{ io.Writer }{io.Discard}, f)
	return err
}

// measureFiles has one arm read, pinned to the server's core.
func measureFiles(arm string, l load) (f figures, err error) {
	name, err := theFile(l.MiB)
	if err == nil {
		err = warmCache(name, !l.Direct)
	}
	if err != nil {
		return f, err
	}
	if arm == "fio" || arm == "fio-fixed" {
		return fio(name, arm == "fio-fixed", l)
	}
	program := "/proc/self/exe"
	if !slices.Contains(readers, arm) {
		program = filepath.Join(lab.Dir(), "peers")
	}
	cmd := exec.Command(program, "-read", arm, name, strconv.Itoa(l.Files), strconv.FormatBool(l.Direct), l.Time.String())
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	out, err := output(cmd)
	if err == nil {
		err = json.Unmarshal(out, &f)
	}
	return f, err
}

// output runs a command on the server's core.
func output(cmd *exec.Cmd) ([]byte, error) {
	r, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := lab.StartOn(cmd, lab.ServerCore); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, cmd.Wait())
}

// fio measures the flexible I/O tester's io_uring engine on the same file; fixed
// is with registered buffers and files, and requests in batches.
func fio(name string, fixed bool, l load) (f figures, err error) {
	args := []string{"--name=read", "--filename=" + name, "--rw=randread", "--bs=4k", "--ioengine=io_uring", "--size=" + strconv.FormatInt(blocks*blockSize, 10),
		"--iodepth=" + strconv.Itoa(l.Files), "--time_based", "--norandommap", "--randrepeat=0", "--random_generator=tausworthe64", "--thread",
		"--runtime=" + strconv.Itoa(int(l.Time.Milliseconds())) + "ms", "--ramp_time=" + strconv.Itoa(int(l.Time.Milliseconds()/4)) + "ms",
		"--output-format=json", "--invalidate=0", "--direct=0"}
	if l.Direct {
		args[len(args)-1] = "--direct=1"
	}
	if fixed {
		batch := max(l.Files/4, 1)
		args = append(args, "--fixedbufs", "--registerfiles", fmt.Sprintf("--iodepth_batch_submit=%d", batch),
			"--iodepth_batch_complete_min=1", fmt.Sprintf("--iodepth_batch_complete_max=%d", l.Files))
	}
	out, err := output(exec.Command("fio", args...))
	if err != nil {
		return f, err
	}
	var r struct {
		Jobs []struct {
			UsrCPU float64 `json:"usr_cpu"`
			SysCPU float64 `json:"sys_cpu"`
			Read   struct {
				TotalIOs int `json:"total_ios"`
				Runtime  int // ms
				ClatNS   struct {
					Percentile map[string]int64
				} `json:"clat_ns"`
			}
		}
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return f, err
	}
	if len(r.Jobs) != 1 {
		return f, errors.New("fio reported no job")
	}
	j := r.Jobs[0]
	f.Requests, f.Elapsed = j.Read.TotalIOs, time.Duration(j.Read.Runtime)*time.Millisecond
	f.CPU = time.Duration((j.UsrCPU + j.SysCPU) / 100 * float64(f.Elapsed))
	p := j.Read.ClatNS.Percentile
	f.P50, f.P99, f.P999 = time.Duration(p["50.000000"]), time.Duration(p["99.000000"]), time.Duration(p["99.900000"])
	return f, nil
}
