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

// dataIdentity returns the identity of a data folder: an id in a file, and the inode of
// that file, so that a copy of the folder has another identity.
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
	identity := strings.TrimSpace(string(id))
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		identity += fmt.Sprintf("-%d", stat.Ino)
	}
	return identity, nil
}
