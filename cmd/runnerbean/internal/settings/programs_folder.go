package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// systemPrograms is the programs folder of a node that is a system service.
const systemPrograms = "/usr/local/lib/runnerbean/programs"

// defaultPrograms is the programs folder where none is named. It is not in the
// data folder, in which programs write. It used to be there: programs that are in
// it are still found where there are none in the new folder, else a program could
// put some there.
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

// ExposedPrograms says what is wrong with a programs folder in the data folder;
// nothing where it is elsewhere.
func (s *Settings) ExposedPrograms() string {
	rest, err := filepath.Rel(resolved(s.Data), resolved(s.Programs))
	if err != nil || rest == ".." || strings.HasPrefix(rest, "../") {
		return ""
	}
	return fmt.Sprintf("the programs folder %s is in the data folder, where a program may replace others", s.Programs)
}

const MovePrograms = "move it, for example to " + systemPrograms + ", and set RUNNERBEAN_PROGRAMS"

// resolved is path without symbolic links, as far as it exists.
func resolved(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return path
	}
	return real
}
