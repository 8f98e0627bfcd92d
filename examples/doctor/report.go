package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/seed-2ff0fea0/go-proactor/proactor"
	"github.com/seed-2ff0fea0/go-proactor/ring"
)

// report is what has been found. Its fields are those of -json.
type report struct {
	Status int        `json:"status"` // of the program
	Kernel string     `json:"kernel"`
	Go     string     `json:"go"`
	Engine string     `json:"engine"` // "" if none can be used
	Why    string     `json:"why"`
	Ring   ringReport `json:"io_uring"`
	Epoll  trial      `json:"epoll"`
	Checks []check    `json:"checks"`
}

// trial is whether something works.
type trial struct {
	Works bool   `json:"works"`
	Error string `json:"error,omitempty"`
}

type ringReport struct {
	trial
	Tried       bool      `json:"tried"`
	Entries     int       `json:"entries,omitempty"`
	Completions int       `json:"completions,omitempty"`
	Features    []feature `json:"features,omitempty"`
	Operations  []feature `json:"operations,omitempty"`
}

type feature struct {
	Name    string `json:"name"`
	Since   string `json:"since"` // the first Linux that has it
	Found   bool   `json:"found"`
	Without string `json:"without"` // what is done instead, or what the lack costs
}

func features(all []ring.Feature) (list []feature) {
	for _, f := range all {
		list = append(list, feature{f.Name, f.Kernel.String(), f.Found, f.Without})
	}
	return list
}

// examine tries the engines, of which wanted is the one that is asked for, by an
// option if that isn't empty.
func examine(wanted, option string) *report {
	r := &report{Go: fmt.Sprintf("%s, %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH)}
	var f finding
	if wanted != "epoll" {
		f = probe()
	}
	r.Ring = ringReport{trial{f.Tried && f.Err == "", f.Err}, f.Tried, f.Info.Entries, f.Info.Completions, features(f.Info.Features), features(f.Info.Operations)}
	_, _, err := tryLoop(proactor.WithEngineName("epoll"))
	r.Epoll = trialOf(err)
	r.choose(&f, option)
	r.Status = r.status()
	if h := thisHost(); h != nil {
		r.Kernel = fmt.Sprintf("Linux %s, %s", h.kernel, h.machine)
		r.Checks = h.checks(&f, r.Engine)
	}
	return r
}

func (r *report) status() int {
	switch {
	case r.Ring.Works:
		return works
	case r.Epoll.Works:
		return epollOnly
	}
	return nothing
}

func trialOf(err error) trial {
	if err != nil {
		return trial{Error: err.Error()}
	}
	return trial{Works: true}
}

// choose finds out which engine a program gets here.
func (r *report) choose(f *finding, option string) {
	if f.Died {
		r.Why = "a program that may try io_uring would not survive it: set " + proactor.EngineVar + "=epoll"
		return
	}
	var opts []proactor.Option
	if option != "" {
		opts = append(opts, proactor.WithEngineName(option))
	}
	name, why, err := tryLoop(opts...)
	if err != nil {
		why = err.Error()
	}
	r.Engine, r.Why = name, why
}

func (r *report) writeJSON(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// print writes the report for people; with all, each operation and not only those
// that the ring lacks.
func (r *report) print(out io.Writer, all bool) error {
	var b strings.Builder
	if r.Kernel != "" {
		fmt.Fprintf(&b, "kernel   %s\n", r.Kernel)
	}
	fmt.Fprintf(&b, "program  %s\n", r.Go)
	engine := r.Engine
	if engine == "" {
		engine = "none"
	}
	wrap(&b, "engine   ", engine+": "+r.Why)
	r.printRing(&b, all)
	b.WriteString("\nepoll " + r.Epoll.String() + "\n")
	r.printChecks(&b)
	_, err := io.WriteString(out, b.String())
	return err
}

func (t trial) String() string {
	if t.Works {
		return "works"
	}
	return "doesn't work: " + t.Error
}

func (r *report) printRing(b *strings.Builder, all bool) {
	switch {
	case !r.Ring.Tried:
		b.WriteString("\nio_uring was not tried\n")
		return
	case strings.Contains(r.Why, r.Ring.Error) && !r.Ring.Works:
		b.WriteString("\nio_uring doesn't work, see above\n")
		return
	case !r.Ring.Works:
		b.WriteString("\n")
		wrap(b, "", "io_uring "+r.Ring.trial.String())
		return
	}
	fmt.Fprintf(b, "\nio_uring works: %d entries, %d completions\n", r.Ring.Entries, r.Ring.Completions)
	fmt.Fprintf(b, "        %-*s  Linux\n", nameWidth, "what it has")
	for _, f := range r.Ring.Features {
		f.print(b)
	}
	here := 0
	for _, f := range r.Ring.Operations {
		if f.Found {
			here++
		}
	}
	fmt.Fprintf(b, "  %d of %d operations by the ring itself", here, len(r.Ring.Operations))
	switch {
	case all:
		b.WriteString(":\n")
	case here < len(r.Ring.Operations):
		b.WriteString("; the others:\n")
	default:
		b.WriteString("\n")
	}
	for _, f := range r.Ring.Operations {
		if all || !f.Found {
			f.print(b)
		}
	}
}

// nameWidth is the column of names.
const nameWidth = 26

func (f feature) print(b *strings.Builder) {
	if f.Found {
		fmt.Fprintf(b, "  yes   %-*s  %s\n", nameWidth, f.Name, f.Since)
		return
	}
	wrap(b, fmt.Sprintf("  no    %-*s  %-5s ", nameWidth, f.Name, f.Since), f.Without)
}

func (r *report) printChecks(b *strings.Builder) {
	if len(r.Checks) == 0 {
		return
	}
	b.WriteString("\nthe system\n")
	for _, c := range sorted(r.Checks) {
		fmt.Fprintf(b, "  %-4s  %-*s  %s\n", c.Level, nameWidth, c.Name, c.Value)
		head := "        -> "
		for line := range strings.Lines(c.Advice) { // a command has one of its own
			wrap(b, head, line)
			head = "           "
		}
	}
}

// width is that of a line.
const width = 100

// wrap writes text behind a head, in lines that begin below each other.
func wrap(b *strings.Builder, head, text string) {
	b.WriteString(head)
	column, indent := len(head), min(len(head), 44)
	for i, word := range strings.Fields(text) {
		switch {
		case i > 0 && column+1+len(word) > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		case i > 0:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	b.WriteByte('\n')
}
