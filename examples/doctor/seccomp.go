package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// rule is one of the rules of a container's seccomp profile: those of Docker, Podman
// and Kubernetes are alike.
type rule struct {
	Names   []string `json:"names"`
	Action  string   `json:"action"`
	Comment string   `json:"comment,omitempty"`
}

var allowed = rule{
	Names:  []string{"io_uring_enter", "io_uring_register", "io_uring_setup"},
	Action: "SCMP_ACT_ALLOW",
}

// printRule prints the rule, or the profile in a file with the rule in it.
func printRule(out io.Writer, profile string) error {
	var v any = allowed
	if profile != "" {
		b, err := readProfile(profile)
		if err != nil {
			return err
		}
		if v, err = allow(b); err != nil {
			return fmt.Errorf("%s: %w", profile, err)
		}
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	return e.Encode(v)
}

func readProfile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(name)
}

var errNoProfile = errors.New("no seccomp profile: it has no defaultAction")

// allow adds the rule to a profile, and takes the calls out of its other rules. What
// else the profile has stays as it is.
func allow(profile []byte) (map[string]json.RawMessage, error) {
	var p map[string]json.RawMessage
	if err := json.Unmarshal(profile, &p); err != nil {
		return nil, err
	}
	if p["defaultAction"] == nil {
		return nil, errNoProfile
	}
	var rules []map[string]json.RawMessage
	if old := p["syscalls"]; old != nil {
		if err := json.Unmarshal(old, &rules); err != nil {
			return nil, fmt.Errorf("syscalls: %w", err)
		}
	}
	kept := []any{}
	for _, r := range rules {
		keep, err := without(r, allowed.Names)
		if err != nil {
			return nil, fmt.Errorf("syscalls: %w", err)
		}
		if keep {
			kept = append(kept, r)
		}
	}
	all, err := json.Marshal(append(kept, allowed))
	p["syscalls"] = all
	return p, err
}

// without takes calls out of a rule. It reports whether any are left.
func without(r map[string]json.RawMessage, calls []string) (bool, error) {
	var names []string
	if err := json.Unmarshal(r["names"], &names); err != nil {
		return false, err
	}
	left := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(calls, n) })
	if len(left) == len(names) {
		return true, nil
	}
	b, err := json.Marshal(left)
	r["names"] = b
	return len(left) > 0, err
}
