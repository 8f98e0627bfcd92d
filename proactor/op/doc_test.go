package op

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the table of operations into doc.go")

// documented is the table of operations as the package's documentation shows it.
func documented() string {
	var b strings.Builder
	row := func(name, man, ring, fallback string) {
		fmt.Fprintf(&b, "//\t%-16s  %-24s  %-8s  %s\n", name, man, ring, fallback)
	}
	row("operation", "man page", "io_uring", "elsewhere")
	for c := None + 1; c < NumCodes; c++ {
		i := c.Info()
		ring := "-"
		if i.Kernel != (Version{}) {
			ring = i.Kernel.String()
		}
		row(i.Name, i.Man, ring, c.Elsewhere())
	}
	return b.String()
}

func TestDocumentationHasTheTable(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), "//\toperation ")
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, "\n//\n")
	require.True(t, ok)
	want := before + documented() + "//\n" + after
	if *update {
		require.NoError(t, os.WriteFile("doc.go", []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(text), "go test ./proactor/op -update writes it")
}
