package jobstest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

const (
	module = "github.com/runnerbean/runnerbean"
	// buildTime bounds a build with its downloads.
	buildTime = 10 * time.Minute
)

// findBinary returns the path of the runnerbean binary.
func findBinary(ctx context.Context, logf func(string, ...any)) (string, error) {
	if path := os.Getenv("RUNNERBEAN"); path != "" {
		return exec.LookPath(path)
	}
	if path, err := exec.LookPath("runnerbean"); err == nil {
		return path, nil
	}
	built.Lock()
	defer built.Unlock()
	if built.path == "" {
		path, err := build(ctx, logf)
		if err != nil {
			return "", fmt.Errorf("no runnerbean binary: set RUNNERBEAN to its path, or put it into the PATH, or let go build it, which failed: %w", err)
		}
		built.path = path
	}
	return built.path, nil
}

// built is the binary that this process has built.
var built struct {
	sync.Mutex
	path string
}

// build builds the binary from the version of this module that the test uses, in its
// own folder, so that the test's module need not list what only a node needs.
func build(ctx context.Context, logf func(string, ...any)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, buildTime)
	defer cancel()
	dir, err := run(exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module))
	if err != nil {
		return "", err
	}
	if dir == "" {
		return "", errors.New("go does not know the folder of " + module + "; with -mod=vendor it never does")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	// Tests of two checkouts may run at the same time.
	folder := filepath.Join(cache, "runnerbean", fmt.Sprintf("jobstest-%x", sha256.Sum256([]byte(dir)))[:25])
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	name := "runnerbean"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	path := filepath.Join(folder, name)
	logf("jobstest: go builds %s from %s", path, dir)
	return path, buildTo(ctx, dir, path)
}

// buildTo builds a file and puts it at path in one step, because other tests may do the
// same now or run what is there. go does nothing where the file is up to date, so it
// begins with the present one.
func buildTo(ctx context.Context, dir, path string) error {
	next := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer os.Remove(next)
	_ = os.Link(path, next)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-o", next, "./cmd/runnerbean")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if _, err := run(cmd); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// run returns what a command prints.
func run(cmd *exec.Cmd) (string, error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, errs.String())
	}
	return strings.TrimSpace(out.String()), nil
}
