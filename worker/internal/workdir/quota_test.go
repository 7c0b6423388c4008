package workdir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMeasure adds up trees of all kinds. The limit is 1 MiB.
func TestMeasure(t *testing.T) {
	t.Parallel()
	write := func(dir, name string, n int) error {
		return os.WriteFile(filepath.Join(dir, name), make([]byte, n), 0o600)
	}
	for name, c := range map[string]struct {
		make func(dir string) error
		want string
	}{
		"empty": {func(string) error { return nil }, ""},
		"small": {func(dir string) error { return write(dir, "x", 900<<10) }, ""},
		"large": {func(dir string) error { return write(dir, "x", 1<<20+1) }, "take more than 1.0 MiB"},
		"several": {func(dir string) error {
			return errors.Join(os.MkdirAll(dir+"/a/b", 0o700), write(dir, "a/b/x", 600<<10), write(dir, "a/y", 600<<10))
		}, "take more than 1.0 MiB"},
		"many empty folders": {func(dir string) error {
			var err error
			for i := range 300 {
				err = errors.Join(err, os.Mkdir(fmt.Sprint(dir, "/", i), 0o700))
			}
			return err
		}, "take more than 1.0 MiB"},
		"hole": {func(dir string) error {
			return errors.Join(write(dir, "x", 1), os.Truncate(filepath.Join(dir, "x"), 1<<40))
		}, ""},
		"two names": {func(dir string) error {
			return errors.Join(write(dir, "x", 600<<10), os.Link(dir+"/x", dir+"/y"))
		}, ""},
		"link out":     {func(dir string) error { return os.Symlink("/usr", dir+"/x") }, ""},
		"link to self": {func(dir string) error { return os.Symlink(".", dir+"/x") }, ""},
		"hidden": {func(dir string) error {
			return errors.Join(os.Mkdir(dir+"/a", 0o700), write(dir, "a/x", 2<<20), os.Chmod(dir+"/a", 0o300))
		}, "take more than 1.0 MiB"},
		"half hidden": {func(dir string) error {
			return errors.Join(os.Mkdir(dir+"/a", 0o700), write(dir, "a/x", 2<<20), os.Chmod(dir+"/a", 0o400))
		}, "take more than 1.0 MiB"},
		"all hidden": {func(dir string) error { return errors.Join(write(dir, "x", 2<<20), os.Chmod(dir, 0)) }, "take more than 1.0 MiB"},
		"gone":       {os.Remove, ""},
		"no folder":  {func(dir string) error { return errors.Join(os.Remove(dir), os.Symlink("/usr", dir)) }, ""},
		"moved away": {func(dir string) error {
			return errors.Join(write(dir, "x", 2<<20), os.Rename(dir, dir+".x"))
		}, "take more than 1.0 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "top")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			f := openTree(t, dir)
			if err := c.make(dir); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time it is read again
				checkExcess(t, measure(t.Context(), f, 1<<20), c.want)
			}
		})
	}
}

func openTree(t *testing.T, dir string) *os.File {
	t.Helper()
	f, err := openFolderAt(unix.AT_FDCWD, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// checkExcess checks that the error is an Excess with a message, or nil if want is
// empty.
func checkExcess(t *testing.T, err error, want string) {
	t.Helper()
	var over *Excess
	if (want == "") != (err == nil) || want != "" && (!errors.As(err, &over) || !strings.Contains(over.message, want)) {
		t.Errorf("error is %v, want %q", err, want)
	}
}

// TestMeasureDeep checks the bound of the depth.
func TestMeasureDeep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	deepen(t, dir, maxFolders-1)
	checkExcess(t, measure(t.Context(), openTree(t, dir), 1<<30), "")
	dir = t.TempDir()
	deepen(t, dir, maxFolders)
	checkExcess(t, measure(t.Context(), openTree(t, dir), 1<<30), "nested more than 128 deep")
}

// TestMeasureMany checks the bound of the number of files.
func TestMeasureMany(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 3 {
		if err := os.WriteFile(fmt.Sprint(dir, "/", i), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := openTree(t, dir)
	c := usageWalk{ctx: t.Context(), limit: 1 << 30, entries: maxEntries - 2}
	checkExcess(t, c.folder(f, 1), "more than 1000000 files")
}

// TestMeasureWhileItMoves measures a tree that changes all the time. That is no error.
func TestMeasureWhileItMoves(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			_ = os.MkdirAll(dir+"/a/b/c", 0o700)
			_ = os.WriteFile(dir+"/a/b/c/x", make([]byte, 100), 0o600)
			_ = os.RemoveAll(dir + "/a")
			_ = os.Symlink("/usr", dir+"/a")
			_ = os.Remove(dir + "/a")
			_ = os.WriteFile(dir+"/a", nil, 0o600)
			_ = os.Remove(dir + "/a")
		}
	}()
	f := openTree(t, dir)
	for range 2000 {
		checkExcess(t, measure(t.Context(), f, 1<<20), "")
	}
	cancel()
	<-ended
	if err := measure(ctx, f, 1<<20); !errors.Is(err, context.Canceled) {
		t.Errorf("the end of the program leaves %v", err)
	}
}

// TestRepeat checks that there are several calls, and none after stop.
func TestRepeat(t *testing.T) {
	t.Parallel()
	calls := make(chan struct{})
	stop := repeat(time.Nanosecond, func(ctx context.Context) time.Duration {
		select {
		case calls <- struct{}{}:
		case <-ctx.Done():
		}
		return time.Nanosecond
	})
	for range 3 {
		<-calls
	}
	stop()
	select {
	case <-calls:
		t.Error("called after the stop")
	default:
	}
}
