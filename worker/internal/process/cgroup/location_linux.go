package cgroup

import (
	"bytes"
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// location is where a cgroup of version 2 is.
type location struct {
	dir  string // in the file system
	path string // as in /proc/<pid>/cgroup
}

func (l location) child(name string) location {
	return location{dir: filepath.Join(l.dir, name), path: path.Join(l.path, name)}
}

func (l location) above() location {
	return location{dir: filepath.Dir(l.dir), path: path.Dir(l.path)}
}

func (l location) file(name string) string { return filepath.Join(l.dir, name) }

// words returns the words of one of the cgroup's files.
func (l location) words(name string) []string {
	data, _ := os.ReadFile(l.file(name))
	return strings.Fields(string(data))
}

func (l location) write(name, text string) error {
	f, err := os.OpenFile(l.file(name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// ownLocation returns the cgroup of this process.
func ownLocation() (location, error) {
	cgroups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return location{}, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return location{}, err
	}
	return findLocation(cgroups, mounts)
}

var errNoCgroup2 = errors.New("no cgroup v2 is mounted")

func findLocation(cgroups, mounts []byte) (location, error) {
	own := pathIn(cgroups)
	if own == "" || strings.HasPrefix(own, "/..") {
		return location{}, errNoCgroup2
	}
	for line := range bytes.Lines(mounts) {
		root, dir, ok := parseMount(string(line))
		if !ok {
			continue
		}
		// A mount may show only a part of the hierarchy.
		if rest, inside := strings.CutPrefix(own, strings.TrimSuffix(root, "/")); inside && (rest == "" || rest[0] == '/') {
			return location{dir: filepath.Join(dir, rest), path: own}, nil
		}
	}
	return location{}, errNoCgroup2
}

// parseMount returns the root and the mount point in a line of mountinfo. It
// reports false unless the line is about cgroup v2.
func parseMount(line string) (root, dir string, ok bool) {
	front, back, found := strings.Cut(line, " - ")
	f := strings.Fields(front)
	if !found || len(f) < 6 || !strings.HasPrefix(back, "cgroup2 ") {
		return "", "", false
	}
	return unescape(f[3]), unescape(f[4]), true
}

var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

// pathIn returns the version 2 entry of a /proc/<pid>/cgroup.
func pathIn(data []byte) string {
	for line := range bytes.Lines(data) {
		if p, ok := bytes.CutPrefix(line, []byte("0::")); ok {
			return string(bytes.TrimSuffix(p, []byte("\n")))
		}
	}
	return ""
}
