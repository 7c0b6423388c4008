package workdir

import (
	"bytes"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Flags of ioctl_iflags(2), which x/sys does not name.
const immutable = 0x10

// setImmutable sets or clears the flag that keeps a file from being changed or removed.
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

// undeletable makes folders that cannot be removed. undo makes them removable, wherever
// they have been moved.
var undeletable = map[string]func(dir string) (undo func() error, err error){
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

// TestUndeletableFolders sweeps folders that cannot be removed. Sweep logs each once,
// other folders are used, and a later Sweep removes the old ones.
func TestUndeletableFolders(t *testing.T) {
	t.Parallel()
	for name, make := range undeletable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			root, undo := t.TempDir(), []func() error{}
			for _, name := range []string{"lane-0", "lane-1", "lane-2", "lane-3"} {
				dir := filepath.Join(root, name)
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				free, err := make(dir)
				if err != nil {
					t.Skipf("that cannot be made here: %v", err)
				}
				t.Cleanup(func() { _ = free() })
				undo = append(undo, free)
			}
			r := NewRoot(root, slog.New(slog.NewTextHandler(&log, nil)))
			r.Sweep()
			s := r.NewScratch()
			if _, err := s.Open(); err != nil {
				t.Fatal(err)
			}
			s.Close(time.Time{})
			r.Sweep()
			if bytes.Count(log.Bytes(), []byte("cannot be removed;")) != 4 {
				t.Errorf("not one warning for each of 4 folders: %s", log.Bytes())
			}
			for _, free := range undo {
				if err := free(); err != nil {
					t.Fatal(err)
				}
			}
			r.Sweep()
			if left, _ := filepath.Glob(filepath.Join(root, "lane-?")); len(left) > 0 {
				t.Errorf("they can be removed and are there: %v", left)
			}
		})
	}
}

// TestUndeletableAttempt makes a working directory that cannot be removed. The next
// attempts get other folders.
func TestUndeletableAttempt(t *testing.T) {
	t.Parallel()
	for name, make := range undeletable {
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
				s.Close(s.made)
				if dir, err := s.Open(); err != nil || strings.HasPrefix(dir, first+"/") {
					t.Fatalf("%s, %v", dir, err)
				}
			}
			if len(s.in.warned) != 1 {
				t.Errorf("warned of %v", s.in.warned)
			}
		})
	}
}
