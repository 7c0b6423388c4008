package store

import (
	"errors"
	"os"
	"sync"
)

const (
	filePerm   = 0o640
	folderPerm = 0o750
)

// folder is a folder in which objects are being made. All who use it at the same
// time share one handle, and the syncs of it.
type folder struct {
	path string
	dir  *os.File
	refs int // guarded by Store.mu

	fsync   func() error
	syncing chan struct{} // holds one value during a sync
	mu      sync.Mutex
	waiting *batch // for a sync that has not begun
}

// batch is one sync of a folder and those who wait for it.
type batch struct {
	done chan struct{}
	err  error
}

// sync returns when a sync of the folder has ended that began after the call.
// The first to ask does it for all who ask before it begins.
func (f *folder) sync() error {
	f.mu.Lock()
	b := f.waiting
	if b != nil {
		f.mu.Unlock()
		<-b.done
		return b.err
	}
	b = &batch{done: make(chan struct{})}
	f.waiting = b
	f.mu.Unlock()

	f.syncing <- struct{}{}
	defer func() { <-f.syncing }()
	f.mu.Lock()
	f.waiting = nil // later callers need another sync
	f.mu.Unlock()
	b.err = f.fsync()
	close(b.done)
	return b.err
}

// syncPath syncs the folder at a path of the machine.
func syncPath(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
