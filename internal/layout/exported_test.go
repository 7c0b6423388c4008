package layout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// namesFile lists the exported names of package jobs, a line each.
const namesFile = "testdata/jobs_names.txt"

// TestTheLibraryStaysSmall holds the exported names of jobs, which are all that most users
// ever see. A name is easy to add and hard to take back.
func TestTheLibraryStaysSmall(t *testing.T) {
	want, err := os.ReadFile(namesFile)
	if err != nil {
		t.Fatal(err)
	}
	got := exported(t, "../../jobs")
	if diff := cmp.Diff(strings.Fields(string(want)), got); diff != "" {
		t.Errorf("exported names of jobs (- %s, + the code). If a web programmer needs the new name, add it there; what only nodes need goes elsewhere:\n%s", namesFile, diff)
	}
}

// exported returns the exported functions, types, constants, variables and methods of the
// package in a folder.
func exported(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), dir+"/"+e.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			names = append(names, declared(d)...)
		}
	}
	slices.Sort(names)
	return names
}

// declared returns the exported names of a declaration; that of a method begins with its
// type.
func declared(d ast.Decl) []string {
	var names []*ast.Ident
	receiver := ""
	switch d := d.(type) {
	case *ast.FuncDecl:
		names = append(names, d.Name)
		if d.Recv != nil {
			of := d.Recv.List[0].Type
			if star, ok := of.(*ast.StarExpr); ok {
				of = star.X
			}
			if id, ok := of.(*ast.Ident); ok && !id.IsExported() {
				return nil
			} else if ok {
				receiver = id.Name + "."
			}
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				names = append(names, s.Name)
			case *ast.ValueSpec:
				names = append(names, s.Names...)
			}
		}
	}
	var out []string
	for _, n := range names {
		if n.IsExported() {
			out = append(out, receiver+n.Name)
		}
	}
	return out
}
