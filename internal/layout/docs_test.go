package layout

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

var (
	quoted   = regexp.MustCompile("`([^` ]+)`")
	topLevel = regexp.MustCompile(`^(api|chaos|cmd|docs|examples|internal|jobs|publisher|worker)(/|$)`)
	fileName = regexp.MustCompile(`^[a-z][\w/]*\.(go|sh|html)$`)
)

// TestDocsNameWhatExists looks for the files and folders that the pages for
// contributors name. A file without a folder belongs to the folder named before it.
func TestDocsNameWhatExists(t *testing.T) {
	for _, page := range []string{"docs/architecture.md", "CONTRIBUTING.md"} {
		found := 0
		for _, name := range named(t, page) {
			if _, err := os.Stat("../../" + name); err != nil && !strings.Contains(name, "N") {
				t.Errorf("%s names %s, which does not exist", page, name)
			}
			found++
		}
		if found < 10 {
			t.Errorf("%s names %d files and folders: does this test still read it?", page, found)
		}
	}
}

// TestLayoutIsComplete looks for every package in the layout of docs/architecture.md.
func TestLayoutIsComplete(t *testing.T) {
	page := readPage(t, "docs/architecture.md")
	_, after, _ := strings.Cut(page, "## Layout\n")
	tree, _, _ := strings.Cut(after, "\n## ")
	for pkg := range list(t, "./...") {
		if !strings.Contains(tree, path.Base(pkg)+"/") {
			t.Errorf("the layout in docs/architecture.md lacks %s", pkg)
		}
	}
}

func named(t *testing.T, page string) []string {
	t.Helper()
	var names []string
	folder := ""
	for _, match := range quoted.FindAllStringSubmatch(readPage(t, page), -1) {
		name := match[1]
		switch {
		case topLevel.MatchString(name):
			if folder = name; strings.Contains(path.Base(name), ".") {
				folder = path.Dir(name)
			}
		case fileName.MatchString(name):
			name = folder + "/" + name
		default:
			continue
		}
		names = append(names, name)
	}
	return names
}

func readPage(t *testing.T, page string) string {
	t.Helper()
	data, err := os.ReadFile("../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
