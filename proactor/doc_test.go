package proactor_test

import (
	"embed"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The sources are embedded: on another kernel there is nothing but the test's binary.
//
//go:embed *.go
var sources embed.FS

// Methods, and the values of a type, have the documentation of that; every other name
// has a place in that of the package.
func TestTheMapHasEveryExportedName(t *testing.T) {
	doc, err := sources.ReadFile("doc.go")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(doc), "// # Map\n")
	require.True(t, found)
	for _, name := range exported(t) {
		require.Contains(t, table, "["+name+"]")
	}
}

// exported returns the names that the files of the package declare.
func exported(t *testing.T) (names []string) {
	files, err := sources.ReadDir(".")
	require.NoError(t, err)
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		text, err := sources.ReadFile(f.Name())
		require.NoError(t, err)
		tree, err := parser.ParseFile(token.NewFileSet(), f.Name(), text, 0)
		require.NoError(t, err)
		for _, d := range tree.Decls {
			for _, name := range declared(d) {
				if ast.IsExported(name) {
					names = append(names, name)
				}
			}
		}
	}
	require.NotEmpty(t, names)
	return names
}

// declared leaves methods out, and the values of a type.
func declared(d ast.Decl) (names []string) {
	if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
		return []string{f.Name.Name}
	}
	g, _ := d.(*ast.GenDecl)
	if g == nil {
		return nil
	}
	for _, s := range g.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			names = append(names, s.Name.Name)
		case *ast.ValueSpec:
			if s.Type != nil {
				return nil
			}
			for _, n := range s.Names {
				names = append(names, n.Name)
			}
		}
	}
	return names
}
