//go:build !linux

package store

import (
	"errors"
	"os"
)

func (s *disk) canUnnamed() bool { return false }

func openUnnamed(*os.File) (*os.File, error) { return nil, errors.ErrUnsupported }

func linkUnnamed(_, _ *os.File, _ string) error { return errors.ErrUnsupported }

func syncAll(*os.File) error { return nil }

func syncOne(f *os.File) error { return f.Sync() }

func (s *disk) openObject(key string) (*os.File, error) { return s.root.Open(key) }
