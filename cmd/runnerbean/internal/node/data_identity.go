package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/runnerbean/runnerbean/jobs"
)

// dataIdentity is the identity of a data folder. It is in a file there, and bound to
// that file's inode so that a copy of the folder is another home.
func dataIdentity(folder string) (string, error) {
	path := filepath.Join(folder, "home")
	id, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !jobs.ValidID(strings.TrimSpace(string(id))) {
		id = []byte(jobs.NewID() + "\n")
		err = os.WriteFile(path, id, 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	home := strings.TrimSpace(string(id))
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		home += fmt.Sprintf("-%d", stat.Ino)
	}
	return home, nil
}
