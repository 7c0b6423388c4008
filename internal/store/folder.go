package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// maxKnown bounds how many synced folders are remembered.
const maxKnown = 8192

func (s *disk) Failed() <-chan struct{} { return s.failed }

func (s *disk) Err() error {
	select {
	case <-s.failed:
		return s.failure
	default:
		return nil
	}
}

// keep syncs a folder. After one failure every call fails.
func (s *disk) keep(f *folder) error {
	err := f.sync()
	if err != nil {
		s.failing.Do(func() {
			s.failure = fmt.Errorf("%w: %s: %w", ErrReopen, f.path, err)
			close(s.failed)
		})
	}
	return s.Err()
}

// enter returns the handle of a folder, which it creates if necessary. The caller calls
// leave.
func (s *disk) enter(dir string) (*folder, error) {
	if err := s.ensure(dir); err != nil {
		return nil, err
	}
	f, err := s.handle(dir)
	if errors.Is(err, fs.ErrNotExist) { // removed by a person since it was ensured
		s.forget()
		if err = s.ensure(dir); err == nil {
			f, err = s.handle(dir)
		}
	}
	return f, err
}

func (s *disk) handle(dir string) (*folder, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.folders[dir]
	if f == nil {
		d, err := s.root.Open(dir)
		if err != nil {
			return nil, err
		}
		f = &folder{path: dir, dir: d, fsync: d.Sync, syncing: make(chan struct{}, 1)}
		s.folders[dir] = f
	}
	f.refs++
	return f, nil
}

func (s *disk) leave(f *folder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.refs--; f.refs == 0 {
		delete(s.folders, f.path)
		_ = f.dir.Close()
	}
}

// ensure creates a folder and syncs its parent. It also syncs if the folder exists,
// because the process that created it may not have synced yet.
func (s *disk) ensure(dir string) error {
	if dir == "." || s.isKnown(dir) {
		return nil
	}
	parent, err := s.enter(path.Dir(dir))
	if err != nil {
		return err
	}
	defer s.leave(parent)
	if err := s.root.Mkdir(dir, folderPerm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := s.keep(parent); err != nil {
		return err
	}
	s.remember(dir)
	return nil
}

func (s *disk) isKnown(dir string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.known[dir]
	return ok
}

func (s *disk) remember(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxKnown {
		clear(s.known)
	}
	s.known[dir] = struct{}{}
}

func (s *disk) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.known)
}
