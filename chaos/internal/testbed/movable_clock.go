package testbed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// Clock is a file that moves the clock of one process.
type Clock struct {
	bed  *Testbed
	who  string
	path string
}

// NewClock returns the clock of a process, at the true time.
func (bed *Testbed) NewClock(who string) (*Clock, error) {
	c := &Clock{bed: bed, who: who, path: filepath.Join(bed.Dir, "clock-"+who)}
	return c, c.write(0)
}

// Move sets the offset of the clock.
func (c *Clock) Move(by time.Duration) error {
	c.bed.History.Note(check.Event{What: check.Clock, Who: c.who, N: by.Seconds()})
	return c.write(by)
}

func (c *Clock) write(by time.Duration) error {
	next := c.path + ".next"
	if err := os.WriteFile(next, fmt.Appendf(nil, "%+d\n", int(by.Seconds())), 0o644); err != nil {
		return err
	}
	return os.Rename(next, c.path) // a reader never sees half of it
}

// Variables makes a node follow the clock in place of one of its own.
func (c *Clock) Variables() map[string]string { return map[string]string{clockVariable: c.path} }

// FaketimeEnv returns the environment that makes beanstalkd follow the clock.
func (c *Clock) FaketimeEnv() ([]string, error) {
	for _, pattern := range []string{"/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1", "/usr/local/lib/faketime/libfaketime.so.1"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			return []string{
				"LD_PRELOAD=" + found[0], "FAKETIME_TIMESTAMP_FILE=" + c.path,
				"FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1",
			}, nil
		}
	}
	return nil, errors.New("libfaketime is not installed (Debian: apt install libfaketime)")
}
