package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/runnerbean/runnerbean/internal/filelock"
)

// lockWait bounds the wait for the lock. A child that a killed node was just starting
// holds the lock until it executes its program or dies.
const lockWait = 2 * time.Second

var errFolderInUse = errors.New("another node is running on this data folder")

// lockFolder takes the lock on a data folder. The kernel releases it when the process
// ends.
func lockFolder(folder string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	err = filelock.Lock(file, time.Now().Add(lockWait), 20*time.Millisecond)
	if err == nil {
		return file, nil
	}
	file.Close()
	if errors.Is(err, filelock.ErrHeld) {
		return nil, fmt.Errorf("%w, %s: give each node a RUNNERBEAN_DATA of its own", errFolderInUse, folder)
	}
	return nil, fmt.Errorf("data folder: lock: %w", err)
}
