package layout

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/tools/go/packages"
)

const (
	maxPackageLines  = 4500 // of all its files but tests
	maxPackageFiles  = 28
	maxFileLines     = 450
	maxFunctionLines = 50
	maxMethods       = 40
)

func TestSizes(t *testing.T) {
	for _, pkg := range load(t) {
		lines, files := 0, sources(t, pkg)
		for _, file := range files {
			n := countLines(t, file)
			lines += n
			if n > maxFileLines {
				t.Errorf("%s has %d lines, at most %d may be: split it by idea", own(pkg)+"/"+filepath.Base(file), n, maxFileLines)
			}
		}
		if lines > maxPackageLines || len(files) > maxPackageFiles {
			t.Errorf("%s has %d lines in %d files, at most %d in %d may be: give a part a package of its own", own(pkg), lines, len(files), maxPackageLines, maxPackageFiles)
		}
		for _, name := range pkg.Types.Scope().Names() {
			if named := namedType(pkg.Types.Scope().Lookup(name)); named != nil && named.NumMethods() > maxMethods {
				t.Errorf("%s.%s has %d methods, at most %d may be: give a part a type of its own", own(pkg), name, named.NumMethods(), maxMethods)
			}
		}
		for _, file := range pkg.Syntax {
			for _, decl := range file.Decls {
				if f, ok := decl.(*ast.FuncDecl); ok {
					if n := line(pkg, f.End()) - line(pkg, f.Pos()) + 1; n > maxFunctionLines {
						t.Errorf("%s: %s has %d lines, at most %d may be", pkg.Fset.Position(f.Pos()), f.Name.Name, n, maxFunctionLines)
					}
				}
			}
		}
	}
}

// embeds are the structs that may embed a pointer to a type of this module.
var embeds = map[string]string{
	"publisher/internal/results.object": "an object of the store that another client's request can cut off",
}

// TestNothingEmbedsAComponent refuses other structs that embed a pointer to a type of
// this module: everything would reach everything through it.
func TestNothingEmbedsAComponent(t *testing.T) {
	for _, pkg := range load(t) {
		for _, name := range pkg.Types.Scope().Names() {
			named := namedType(pkg.Types.Scope().Lookup(name))
			if named == nil || embeds[own(pkg)+"."+name] != "" {
				continue
			}
			structure, ok := named.Underlying().(*types.Struct)
			for i := 0; ok && i < structure.NumFields(); i++ {
				field := structure.Field(i)
				pointer, isPointer := field.Type().(*types.Pointer)
				if !field.Embedded() || !isPointer {
					continue
				}
				if target, ok := types.Unalias(pointer.Elem()).(*types.Named); ok && target.Obj().Pkg() != nil && strings.HasPrefix(target.Obj().Pkg().Path(), module) {
					t.Errorf("%s.%s embeds *%s: name the field and use what is needed", own(pkg), name, target.Obj().Name())
				}
			}
		}
	}
}

// TestFilesPointOneWay refuses cycles among the files of a package, where a file
// points to another by using a function, type, variable, constant or method of it.
func TestFilesPointOneWay(t *testing.T) {
	for _, pkg := range load(t) {
		arrows := fileArrows(pkg)
		for _, cycle := range cycles(arrows) {
			var why strings.Builder
			for _, from := range cycle {
				for to, name := range arrows[from] {
					if slices.Contains(cycle, to) {
						fmt.Fprintf(&why, "\n\t%s uses %s of %s", from, name, to)
					}
				}
			}
			t.Errorf("%s: the files %s use one another:%s", own(pkg), strings.Join(cycle, ", "), why.String())
		}
	}
}

// fileArrows returns from which file to which others, with one name that it uses.
func fileArrows(pkg *packages.Package) map[string]map[string]string {
	arrows := map[string]map[string]string{}
	for _, file := range pkg.Syntax {
		from := base(pkg, file.Pos())
		arrows[from] = map[string]string{}
		ast.Inspect(file, func(node ast.Node) bool {
			ident, ok := node.(*ast.Ident)
			if !ok {
				return true
			}
			object := pkg.TypesInfo.Uses[ident]
			if object == nil || object.Pkg() != pkg.Types || !(object.Parent() == pkg.Types.Scope() || isMethod(object)) {
				return true
			}
			if to := base(pkg, object.Pos()); to != from {
				arrows[from][to] = object.Name()
			}
			return true
		})
	}
	return arrows
}

// cycles returns the strongly connected components of more than one file (Tarjan, 1972).
func cycles(arrows map[string]map[string]string) [][]string {
	index, low, onStack := map[string]int{}, map[string]int{}, map[string]bool{}
	var stack []string
	var found [][]string
	var visit func(file string)
	visit = func(file string) {
		index[file] = len(index) + 1
		low[file] = index[file]
		stack, onStack[file] = append(stack, file), true
		for to := range arrows[file] {
			if index[to] == 0 {
				visit(to)
				low[file] = min(low[file], low[to])
			} else if onStack[to] {
				low[file] = min(low[file], index[to])
			}
		}
		if low[file] != index[file] {
			return
		}
		at := slices.Index(stack, file)
		component := slices.Clone(stack[at:])
		for _, member := range component {
			onStack[member] = false
		}
		if stack = stack[:at]; len(component) > 1 {
			slices.Sort(component)
			found = append(found, component)
		}
	}
	for file := range arrows {
		if index[file] == 0 {
			visit(file)
		}
	}
	return found
}

// load returns the packages of the module with their types; they are loaded once.
func load(t *testing.T) []*packages.Package {
	t.Helper()
	pkgs, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return pkgs
}

var loaded = sync.OnceValues(func() ([]*packages.Package, error) {
	pkgs, err := packages.Load(&packages.Config{Mode: packages.LoadSyntax, Dir: "../.."}, "./...")
	if err == nil && packages.PrintErrors(pkgs) > 0 {
		err = errors.New("the module does not compile")
	}
	return slices.DeleteFunc(pkgs, func(pkg *packages.Package) bool { return len(pkg.GoFiles) == 0 }), err
})

// sources returns the Go files of a package for all platforms, without tests.
func sources(t *testing.T, pkg *packages.Package) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(pkg.GoFiles[0]), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(files, func(file string) bool { return strings.HasSuffix(file, "_test.go") })
}

func countLines(t *testing.T, file string) int {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(data), "\n")
}

func namedType(object types.Object) *types.Named {
	if name, ok := object.(*types.TypeName); ok && !name.IsAlias() {
		named, _ := name.Type().(*types.Named)
		return named
	}
	return nil
}

func isMethod(object types.Object) bool {
	f, ok := object.(*types.Func)
	return ok && f.Signature().Recv() != nil
}

func own(pkg *packages.Package) string { return strings.TrimPrefix(pkg.PkgPath, module) }

func line(pkg *packages.Package, pos token.Pos) int { return pkg.Fset.Position(pos).Line }

func base(pkg *packages.Package, pos token.Pos) string {
	return filepath.Base(pkg.Fset.Position(pos).Filename)
}
