package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
)

func openDisk(url string) (*disk, error) {
	dir, err := folderOf(url)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, folderPerm); err != nil {
		return nil, fmt.Errorf("store: %w", full(err))
	}
	if err := syncPath(filepath.Dir(dir)); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := &disk{root: root, fsync: (*os.File).Sync, failed: make(chan struct{}), folders: map[string]*folder{}, known: map[string]struct{}{}}
	if err := s.prepare(); err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("store: %w", full(err))
	}
	return s, nil
}

// prepare opens the store's other handles besides root.
func (s *disk) prepare() (err error) {
	if s.top, err = s.root.Open("."); err != nil {
		return err
	}
	if s.temp, err = openTemp(s.root); err != nil {
		_ = s.top.Close()
		return fmt.Errorf("temporary folder: %w", err)
	}
	s.unnamed = s.canUnnamed()
	return nil
}

func (s *disk) open(_ context.Context, key string) (*Object, error) {
	f, err := s.openObject(key)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrNotExist
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &Object{ReadSeekCloser: f, Size: info.Size(), ModTime: info.ModTime()}, nil
}

func (s *disk) Close() error {
	return errors.Join(s.temp.close(), s.top.Close(), s.root.Close())
}

// folderOf returns the folder that a URL names.
func folderOf(raw string) (string, error) {
	if filepath.IsAbs(raw) {
		return filepath.Clean(raw), nil
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return "", fmt.Errorf("store: %w", err)
	case u.Scheme != "file":
		return "", fmt.Errorf("store: %q is not a store: write file:///PATH, an absolute path or s3://BUCKET/PREFIX?endpoint=URL", raw)
	case u.Host != "" && u.Host != "localhost", !filepath.IsAbs(u.Path), u.RawQuery != "", u.Fragment != "":
		return "", fmt.Errorf("store: %q is not of the form file:///PATH", raw)
	}
	return filepath.Clean(u.Path), nil
}
