package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// systemPrograms is the default programs folder of a system service.
const systemPrograms = "/usr/local/lib/runnerbean/programs"

// defaultPrograms returns the default programs folder. It is outside of the data folder,
// because programs write there. An earlier version had it in the data folder; that old
// folder is used only while the new one is empty, or a program could replace others.
func defaultPrograms(data string) string {
	old, folder := filepath.Join(data, "programs"), newPrograms()
	if list, err := os.ReadDir(folder); len(list) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return folder
	}
	if list, err := os.ReadDir(old); err == nil && len(list) > 0 {
		return old
	}
	return folder
}

func newPrograms() string {
	share := os.Getenv("XDG_DATA_HOME")
	if home, err := os.UserHomeDir(); !filepath.IsAbs(share) && err == nil && filepath.IsAbs(home) && home != "/" {
		share = filepath.Join(home, ".local", "share")
	}
	service := strings.HasPrefix(os.Getenv("STATE_DIRECTORY"), "/var/")
	if service || !filepath.IsAbs(share) {
		return systemPrograms
	}
	return filepath.Join(share, "runnerbean", "programs")
}

// ExposedPrograms returns a warning where the programs folder is in the data folder,
// else "".
func (s *Settings) ExposedPrograms() string {
	rest, err := filepath.Rel(resolved(s.Data), resolved(s.Programs))
	if err != nil || rest == ".." || strings.HasPrefix(rest, "../") {
		return ""
	}
	return fmt.Sprintf("the programs folder %s is in the data folder, where a program may replace others", s.Programs)
}

const MovePrograms = "move it, for example to " + systemPrograms + ", and set RUNNERBEAN_PROGRAMS"

// resolved returns path without symbolic links, or path itself where it does not exist.
func resolved(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return path
	}
	return real
}
