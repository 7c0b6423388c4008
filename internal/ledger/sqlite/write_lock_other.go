//go:build !unix

package sqlite

import "time"

// writeLock does nothing here: one process writes at a time, in no order.
type writeLock struct{}

func openWriteLock(string) (*writeLock, error) { return &writeLock{}, nil }
func (l *writeLock) take(time.Time)            {}
func (l *writeLock) give()                     {}
func (l *writeLock) close() error              { return nil }
