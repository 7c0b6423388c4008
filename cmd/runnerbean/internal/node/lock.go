package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/runnerbean/runnerbean/internal/filelock"
)

// lockWait is how long the lock is waited for: what a killed node was starting at
// that moment holds it until it has become another program or has died too.
const lockWait = 2 * time.Second

// lockFolder takes the lock on a data folder. The kernel gives it back when
// the process ends, however it ends.
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
		return nil, fmt.Errorf("another node is running on %s: give each node a RUNNERBEAN_DATA of its own", folder)
	}
	return nil, fmt.Errorf("data folder: lock: %w", err)
}
