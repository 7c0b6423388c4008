package program

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
)

// maxPrograms bounds the entries of a programs folder that are read.
const maxPrograms = 4096

// entries returns the sorted names in a programs folder without hidden ones.
func entries(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := f.Readdirnames(maxPrograms)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	names := slices.DeleteFunc(all, func(name string) bool { return strings.HasPrefix(name, ".") })
	slices.Sort(names)
	return names, nil
}

// Installed is one entry of a programs folder.
type Installed struct {
	Name    string
	Program nodes.Program
	// Err is why the program cannot be used; nil for a good one.
	Err error
}

// Inspect loads every program in a folder, whose path must have no symbolic links,
// and returns them by name. The error is that of a folder that cannot be read.
func Inspect(dir string) ([]Installed, error) {
	names, err := entries(dir)
	if err != nil {
		return nil, err
	}
	loader := newLoader(dir)
	list := make([]Installed, 0, len(names))
	for _, name := range names {
		entry := Installed{Name: name}
		p, err := loader.load(name)
		if entry.Err = err; err == nil {
			entry.Program = p.About
		}
		list = append(list, entry)
	}
	return list, nil
}
