package layout

import (
	"errors"
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// Go code in pages and package comments. A snippet sees what the snippets before it on the
// same page have declared.
var (
	goBlock    = regexp.MustCompile("(?ms)^```go\n(.*?)^```")
	qualifier  = regexp.MustCompile(`\b([a-z]\w*)\.[A-Z]`)
	topLevelGo = regexp.MustCompile(`\A(//.*\n)*(func|type) `)
)

// importable are the packages that snippets use without an import.
var importable = map[string]string{
	"jobs": module + "jobs", "jobstest": module + "jobs/jobstest",
	"context": "context", "errors": "errors", "fmt": "fmt", "http": "net/http", "httptest": "net/http/httptest",
	"io": "io", "json": "encoding/json", "log": "log", "os": "os", "slog": "log/slog", "testing": "testing", "time": "time",
}

// snippetWorld declares what snippets take from the program around them.
const snippetWorld = `
func newServer(*jobs.Client) http.Handler { return nil }

var (
	key    []byte
	order  jobs.Job
	orders []jobs.Job
	_      = newServer
)
`

// TestSnippetsCompile checks the types of all Go code in the README, docs/*.md and the
// comments of the packages that users import.
func TestSnippetsCompile(t *testing.T) {
	pages := map[string][]string{}
	for _, name := range markdown(t) {
		for _, match := range goBlock.FindAllStringSubmatch(readPage(t, name), -1) {
			pages[name] = append(pages[name], match[1])
		}
	}
	for _, pkg := range []string{"jobs", "jobs/jobstest"} {
		pages[pkg+"/doc.go"] = commentCode(t, pkg+"/doc.go")
	}
	for _, page := range []string{"README.md", "jobs/doc.go", "jobs/jobstest/doc.go"} {
		if len(pages[page]) == 0 {
			t.Errorf("%s has no Go code: does this test still read it?", page)
		}
	}
	known := imported(load(t))
	for page, snippets := range pages {
		if len(snippets) > 0 {
			checkSnippets(t, page, program(snippets), known)
		}
	}
}

// checkSnippets checks the types of a program, which is text.
func checkSnippets(t *testing.T, page, text string, known types.Importer) {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, page, text, 0)
	if err != nil {
		t.Errorf("%v, in\n%s", err, text)
		return
	}
	config := types.Config{Importer: known, Error: func(err error) {
		var fault types.Error
		if errors.As(err, &fault) && !strings.Contains(fault.Msg, "and not used") { // a variable, or what a comment names
			t.Errorf("%s: %s, in\n%s", page, fault.Msg, around(text, fset.Position(fault.Pos).Line))
		}
	}}
	_, _ = config.Check(page, fset, []*ast.File{file}, nil)
}

// importer finds packages that this module imports.
type importer map[string]*types.Package

func (known importer) Import(path string) (*types.Package, error) {
	if pkg := known[path]; pkg != nil {
		return pkg, nil
	}
	return nil, fmt.Errorf("no package of this module imports %s", path)
}

func imported(pkgs []*packages.Package) importer {
	known := importer{}
	for _, pkg := range pkgs {
		for path, used := range pkg.Imports {
			known[path] = used.Types
		}
	}
	for _, pkg := range pkgs {
		known[pkg.PkgPath] = pkg.Types
	}
	return known
}

// markdown returns the pages for users and contributors.
func markdown(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		list[i] = strings.TrimPrefix(filepath.ToSlash(list[i]), "../../")
	}
	return append(list, "README.md", "CONTRIBUTING.md")
}

// commentCode returns the code blocks of a package comment.
func commentCode(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), "../../"+file, nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil || parsed.Doc == nil {
		t.Fatalf("%s has no comment, %v", file, err)
	}
	var code []string
	for _, block := range new(comment.Parser).Parse(parsed.Doc.Text()).Content {
		if c, ok := block.(*comment.Code); ok {
			code = append(code, c.Text)
		}
	}
	return code
}

// program makes one file of the snippets of a page: each is a block inside the block of
// the one before it.
func program(snippets []string) string {
	var body, declared strings.Builder
	body.WriteString("func _(ctx context.Context, w http.ResponseWriter, r *http.Request, t *testing.T) (_ error) {\n")
	blocks := 0
	for _, text := range snippets {
		if topLevelGo.MatchString(text) {
			declared.WriteString(text + "\n")
			continue
		}
		body.WriteString("{\n" + text + "\n")
		blocks++
	}
	body.WriteString(strings.Repeat("}\n", blocks) + "return nil\n}\n")
	all := body.String() + declared.String() + snippetWorld
	var imports []string
	for _, match := range qualifier.FindAllStringSubmatch(all, -1) {
		if path := importable[match[1]]; path != "" && !slices.Contains(imports, path) {
			imports = append(imports, path)
		}
	}
	slices.Sort(imports)
	return "package snippets\n\nimport (\n\t\"" + strings.Join(imports, "\"\n\t\"") + "\"\n)\n\n" + all
}

// around returns the lines of a program around one of them.
func around(text string, line int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, line-4):min(len(lines), line+3)], "\n")
}
