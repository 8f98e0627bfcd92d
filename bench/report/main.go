// Command report turns the raw figures of bench, its -out files, into one HTML page
// that needs nothing beside it: plots are inline SVG, and there is no script.
//
//	go run ./bench -full -peers -out DIR
//	go run -C bench/report . -in DIR -out page.html
//
// The page has the texts of DIR/claims.txt, which bench writes, and DIR/about.txt, too.
// It measures nothing itself and knows no scenario by name: what is plotted over
// what follows from the loads that the files describe. It is a module of its own,
// so that the library doesn't depend on what draws the plots.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
)

func main() {
	in := flag.String("in", ".", "directory of the JSON files that bench -out wrote")
	out := flag.String("out", "page.html", "file to write the page to")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := report(*in, *out); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

// report writes the page only when all of it is there: a page from an earlier run
// survives an error.
func report(in, out string) error {
	rs, err := readResults(in)
	if err != nil {
		return err
	}
	n, err := readNotes(in)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := writePage(&page, rs, n); err != nil {
		return err
	}
	return os.WriteFile(out, page.Bytes(), 0o644)
}
