package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// clockVariable tells a node built by Builds the file that holds
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

// movableClock returns what gives a build a clock that can be moved. A Go binary
// reads the clock without the C library, so libfaketime has no effect on it. The
// build gets a copy of Go's time.go with one more line.
func movableClock(ctx context.Context) (overlay, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	text, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		return nil, err
	}
	const reading = "\tsec, nsec, mono := runtimeNow()\n"
	edited := strings.Replace(string(text), reading, reading+"\tsec += chaosSeconds.Load()\n", 1)
	if edited == string(text) {
		return nil, errors.New("time.Now of this Go version is not known to movable_clock.go")
	}
	return overlay{filepath.Join(source, "time.go"): edited, filepath.Join(source, "chaos.go"): movableTime}, nil
}
