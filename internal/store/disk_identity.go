package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// restoringFile marks a folder into which a restore writes. All that is beside it comes
// from the restore.
const restoringFile = "restoring"

// ErrDetached is returned by Attached if the path of a store does not lead to the folder that
// is open.
var ErrDetached = errors.New("store: the folder was moved, removed or unmounted: mount or move it back, or restart the node")

// inspectFolder looks at the folder of a store. One that does not exist holds nothing.
func inspectFolder(url string) (found Found, err error) {
	if found.Folder, err = folderOf(url); err != nil {
		return found, err
	}
	root, err := os.OpenRoot(found.Folder)
	if errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	if err != nil {
		return found, fmt.Errorf("store: %w", err)
	}
	defer root.Close()
	if found.Identity, err = readIdentity(root); err != nil {
		return found, err
	}
	_, err = root.Lstat(restoringFile)
	found.Restoring = err == nil
	found.Results, err = hasResults(root)
	return found, err
}

// hasResults looks for one file in the folders of results.
func hasResults(root *os.Root) (bool, error) {
	shards, err := fs.ReadDir(root.FS(), "results")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	for _, shard := range shards {
		dir, err := root.Open(filepath.Join("results", shard.Name()))
		if err != nil {
			return false, fmt.Errorf("store: %w", err)
		}
		names, err := dir.Readdirnames(1)
		_ = dir.Close()
		if len(names) > 0 {
			return true, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return false, fmt.Errorf("store: %w", err)
		}
	}
	if err != nil {
		return false, fmt.Errorf("store: %w", err)
	}
	return false, nil
}

// readIdentity returns the zero Identity if there is none.
func readIdentity(root *os.Root) (Identity, error) {
	f, err := root.Open(identityFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, nil
	}
	if err != nil {
		return Identity{}, fmt.Errorf("store: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxIdentity))
	if err != nil {
		return Identity{}, fmt.Errorf("store: %s: %w", identityFile, err)
	}
	id, err := parseIdentity(text)
	if err != nil {
		return id, fmt.Errorf("store: %s is not the identity of a store: %w", filepath.Join(root.Name(), identityFile), err)
	}
	return id, nil
}

func missingInFolder(url string, ids []string) (n int, err error) {
	folder, err := folderOf(url)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if _, err := os.Lstat(filepath.Join(folder, filepath.FromSlash(ResultKey(id)))); errors.Is(err, fs.ErrNotExist) {
			n++
		}
	}
	return n, nil
}

func (s *disk) Identity() (Identity, error) { return readIdentity(s.root) }

func (s *disk) Identify(id Identity) (Identity, error) {
	if err := s.writeIdentity(id, s.root.Link); err != nil && !errors.Is(err, fs.ErrExist) {
		return Identity{}, fmt.Errorf("store: identity: %w", full(err))
	}
	// A restore was killed after its last step.
	if err := s.root.Remove(restoringFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Identity{}, fmt.Errorf("store: %w", err)
	}
	if err := s.top.Sync(); err != nil {
		return Identity{}, fmt.Errorf("store: identity: %w", err)
	}
	return s.Identity()
}

func (s *disk) SetIdentity(id Identity) error {
	err := s.writeIdentity(id, s.root.Rename)
	if err = errors.Join(err, s.top.Sync()); err != nil {
		return fmt.Errorf("store: identity: %w", full(err))
	}
	return nil
}

// writeIdentity writes a temporary file and then puts it in its place.
func (s *disk) writeIdentity(id Identity, place func(from, to string) error) error {
	text, err := id.text()
	if err != nil {
		return err
	}
	f, name, err := s.temp.create()
	if err != nil {
		return err
	}
	defer func() { _ = s.root.Remove(name) }()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return place(name, identityFile)
}

func (s *disk) Attached(_ context.Context, id Identity) error {
	named, err := os.Stat(s.root.Name())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDetached, err)
	}
	open, err := s.top.Stat()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDetached, err)
	}
	if !os.SameFile(named, open) {
		return fmt.Errorf("%w: another folder is at %s now", ErrDetached, s.root.Name())
	}
	now, err := s.Identity()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDetached, err)
	}
	if now != id {
		return fmt.Errorf("%w: the identity in %s has changed", ErrDetached, s.root.Name())
	}
	return nil
}
