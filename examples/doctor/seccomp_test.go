package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheRuleAloneIsPrinted(t *testing.T) {
	var out bytes.Buffer
	status, err := run(&config{seccomp: true}, &out)
	require.NoError(t, err)
	require.Equal(t, works, status)
	require.JSONEq(t, `{"names": ["io_uring_enter", "io_uring_register", "io_uring_setup"], "action": "SCMP_ACT_ALLOW"}`, out.String())
}

const profile = `{
	"defaultAction": "SCMP_ACT_ERRNO",
	"defaultErrnoRet": 1,
	"archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": null}],
	"syscalls": [
		{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
		{"names": ["bpf", "io_uring_setup"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "includes": {"caps": ["CAP_BPF"]}},
		{"names": ["io_uring_enter"], "action": "SCMP_ACT_KILL"}
	]
}`

func TestAProfileGetsTheRuleAndKeepsTheRest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "profile.json")
	require.NoError(t, os.WriteFile(file, []byte(profile), 0o600))
	var out bytes.Buffer
	_, err := run(&config{seccomp: true, profile: file}, &out)
	require.NoError(t, err)
	require.JSONEq(t, `{
		"defaultAction": "SCMP_ACT_ERRNO",
		"defaultErrnoRet": 1,
		"archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": null}],
		"syscalls": [
			{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
			{"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "includes": {"caps": ["CAP_BPF"]}},
			{"names": ["io_uring_enter", "io_uring_register", "io_uring_setup"], "action": "SCMP_ACT_ALLOW"}
		]
	}`, out.String())
}

func TestWhatIsNoProfileIsRefused(t *testing.T) {
	for _, b := range []string{"", "[]", "null", "{}", `{"syscalls": []}`, `{"defaultAction": "x", "syscalls": {}}`, `{"defaultAction": "x", "syscalls": [{}]}`, `{"defaultAction": "x", "syscalls": [{"names": 1}]}`} {
		_, err := allow([]byte(b))
		require.Error(t, err, b)
	}
	_, err := run(&config{seccomp: true, profile: filepath.Join(t.TempDir(), "none")}, new(bytes.Buffer))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzProfile(f *testing.F) {
	f.Add([]byte(profile))
	f.Add([]byte(`{"defaultAction": "x"}`))
	f.Add([]byte(`{"defaultAction": "x", "syscalls": [null, {"names": null}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		once, err := allow(b)
		if err != nil {
			return
		}
		first, err := json.Marshal(once)
		require.NoError(t, err)
		twice, err := allow(first)
		require.NoError(t, err)
		second, err := json.Marshal(twice)
		require.NoError(t, err)
		require.JSONEq(t, string(first), string(second), "adding it again changes nothing")
	})
}
