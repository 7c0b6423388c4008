package worker

import (
	"bytes"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/jobs"
)

// Flags of ioctl_iflags(2), which x/sys does not name.
const immutable = 0x10

// setImmutable makes a file one that nobody can change or remove.
func setImmutable(f *os.File, on bool) error {
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	if flags &^= immutable; on {
		flags |= immutable
	}
	return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags)
}

func holdFast(path string) (func() error, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return func() error { return errors.Join(setImmutable(f, false), f.Close()) }, setImmutable(f, true)
}

// stubborn makes folders that cannot be removed; undo lets them be, wherever
// they have been moved.
var stubborn = map[string]func(dir string) (undo func() error, err error){
	"immutable file": func(dir string) (func() error, error) {
		file := filepath.Join(dir, "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			return nil, err
		}
		return holdFast(file)
	},
	"immutable folder": holdFast,
	"mount": func(dir string) (func() error, error) {
		source, at := "runnerbean-test-"+rand.Text(), filepath.Join(dir, "mounted")
		if err := os.Mkdir(at, 0o700); err != nil {
			return nil, err
		}
		return func() error { return unmount(source) }, unix.Mount(source, at, "tmpfs", 0, "size=64k")
	},
}

func unmount(source string) error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); f[0] == source {
			return unix.Unmount(f[1], 0)
		}
	}
	return err
}

// TestUndeletableScratch starts a node although folders of an earlier life
// cannot be removed: it says so once, runs jobs, and removes them later.
func TestUndeletableScratch(t *testing.T) {
	t.Parallel()
	for name, make := range stubborn {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &syncBuffer{}
			r := newRig(t, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
			var undo []func() error
			for _, lane := range []string{"lane-0", "lane-1", "lane-2", "lane-3"} {
				dir := filepath.Join(r.cfg.Scratch, lane)
				r.must(os.Mkdir(dir, 0o700))
				free, err := make(dir)
				if err != nil {
					t.Skipf("that cannot be made here: %v", err)
				}
				t.Cleanup(func() { _ = free() })
				undo = append(undo, free)
			}
			r.install("upper", "tr a-z A-Z")
			w := r.start()
			r.await(r.submit(job("upper")), jobs.Succeeded)
			w.scratch.sweep()
			if text := bytes.Join(log.lines(), []byte("\n")); bytes.Count(text, []byte("cannot be removed;")) != 4 {
				t.Errorf("not one warning for each of 4 folders: %s", text)
			}
			for _, free := range undo {
				r.must(free())
			}
			w.scratch.sweep()
			if left, _ := filepath.Glob(filepath.Join(r.cfg.Scratch, "lane-?")); len(left) > 0 {
				t.Errorf("they can be removed and are there: %v", left)
			}
		})
	}
}

// TestStubbornAttempt runs a program that leaves what cannot be removed, in the
// folder that its lane works in: the next attempts get other folders.
func TestStubbornAttempt(t *testing.T) {
	t.Parallel()
	for name, make := range stubborn {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openScratch(t)
			free, err := make(s.dir)
			if err != nil {
				t.Skipf("that cannot be made here: %v", err)
			}
			t.Cleanup(func() { _ = free() })
			first := s.root
			for range 3 {
				s.close(s.made)
				if dir, err := s.open(); err != nil || strings.HasPrefix(dir, first+"/") {
					t.Fatalf("%s, %v", dir, err)
				}
			}
			if len(s.in.warned) != 1 {
				t.Errorf("warned of %v", s.in.warned)
			}
		})
	}
}
