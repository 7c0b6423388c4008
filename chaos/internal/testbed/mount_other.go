//go:build !linux

package testbed

import "errors"

// Mount fails: only Linux has what it needs.
func Mount(string, int) error { return errors.ErrUnsupported }

// Unmount does nothing.
func Unmount(string) {}

// Space fails.
func Space(string) (used, free int64, err error) { return 0, 0, errors.ErrUnsupported }
