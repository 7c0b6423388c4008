package testbed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// clockVariable tells a node built by BuildWithMovableClock the file that holds
// the offset of its clock in seconds.
const clockVariable = "CHAOS_CLOCK_FILE"

// movableTime is added to Go's package time. It shifts time.Now by the seconds
// in a file. A goroutine reads the file ten times a second, because time.Now
// may be called where nothing may block. The monotonic reading does not change,
// as with a real clock that is set.
const movableTime = `package time

import (
	"sync/atomic"
	"syscall"
)

var (
	chaosFile, _ = syscall.Getenv("` + clockVariable + `")
	chaosSeconds atomic.Int64
)

func init() {
	if chaosFile == "" {
		return
	}
	chaosLoad()
	go func() {
		for {
			Sleep(100 * Millisecond)
			chaosLoad()
		}
	}()
}

func chaosLoad() {
	fd, err := syscall.Open(chaosFile, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer syscall.Close(fd)
	var text [32]byte
	n, err := syscall.Read(fd, text[:])
	if err != nil || n <= 0 {
		return
	}
	var seconds, sign int64 = 0, 1
	for _, c := range text[:n] {
		switch {
		case c == '-':
			sign = -1
		case c >= '0' && c <= '9':
			seconds = seconds*10 + int64(c-'0')
		}
	}
	chaosSeconds.Store(sign * seconds)
}
`

// BuildWithMovableClock builds a runnerbean whose clock can be moved. A Go
// binary reads the clock without the C library, so libfaketime has no effect on
// it. The build replaces Go's time.go by a copy with one more line.
func BuildWithMovableClock(ctx context.Context, bed *Testbed) (string, error) {
	folder, err := bed.Folder("overlay")
	if err != nil {
		return "", err
	}
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOROOT: %w", err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	text, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		return "", err
	}
	const reading = "\tsec, nsec, mono := runtimeNow()\n"
	edited := strings.Replace(string(text), reading, reading+"\tsec += chaosSeconds.Load()\n", 1)
	if edited == string(text) {
		return "", errors.New("time.Now of this Go version is not known to movable_clock.go")
	}
	overlay, err := writeOverlay(folder, source, map[string]string{"time.go": edited, "chaos.go": movableTime})
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "runnerbean")
	return path, Build(ctx, path, "-overlay", overlay)
}

func writeOverlay(folder, source string, files map[string]string) (string, error) {
	replace := map[string]string{}
	for name, text := range files {
		copied := filepath.Join(folder, name)
		if err := os.WriteFile(copied, []byte(text), 0o644); err != nil {
			return "", err
		}
		replace[filepath.Join(source, name)] = copied
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(folder, "overlay.json")
	return overlay, os.WriteFile(overlay, list, 0o644)
}

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
