package workdir

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func openScratch(t *testing.T) *Scratch {
	t.Helper()
	s := NewRoot(t.TempDir(), slog.New(slog.DiscardHandler)).NewScratch()
	if _, err := s.Open(); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestScratchIsFresh checks that a working directory is used again only if nothing has
// changed in it, also if the time stamps do not show it.
func TestScratchIsFresh(t *testing.T) {
	t.Parallel()
	traces := map[string]func(dir string) error{
		"nothing":     func(string) error { return nil },
		"file":        func(dir string) error { return os.WriteFile(filepath.Join(dir, "x"), nil, 0o600) },
		"file in out": func(dir string) error { return os.WriteFile(filepath.Join(dir, "out", "x"), nil, 0o600) },
		"folder":      func(dir string) error { return os.Mkdir(filepath.Join(dir, "tmp", "x"), 0o700) },
		"beside":      func(dir string) error { return os.WriteFile(dir+".x", nil, 0o600) },
		"moved away":  func(dir string) error { return os.Rename(dir, dir+".x") },
		"permission":  func(dir string) error { return os.Chmod(filepath.Join(dir, "inputs"), 0o500) },
		"own":         func(dir string) error { return os.Chmod(dir, 0o755) },
		"removed":     func(dir string) error { return os.Remove(filepath.Join(dir, "checkpoint")) },
		"replaced": func(dir string) error {
			if err := os.Remove(filepath.Join(dir, "out")); err != nil {
				return err
			}
			return os.Symlink("/etc", filepath.Join(dir, "out"))
		},
	}
	for name, trace := range traces {
		for _, old := range []bool{false, true} {
			s := openScratch(t)
			before := s.dir
			if err := trace(before); err != nil {
				t.Fatal(err)
			}
			start := s.made
			if old {
				start = s.made.Add(time.Minute)
			}
			// The time stamps do not show the change: they are read again after it.
			if !old && name != "removed" && name != "permission" && name != "own" && name != "replaced" {
				s.fingerprints, _ = s.currentFingerprints()
			}
			s.Close(start)
			after, err := s.Open()
			if err != nil {
				t.Fatal(err)
			}
			if kept := before == after; kept != (name == "nothing") {
				t.Errorf("%s: kept: %v", name, kept)
			}
			if list, err := os.ReadDir(after); err != nil || len(list) != len(folders) {
				t.Errorf("%s: the next attempt finds %v", name, list)
			}
			if list, _ := os.ReadDir(s.root); len(list) != 1 {
				t.Errorf("%s: left behind: %v", name, list)
			}
		}
	}
}

// TestScratchIsChecked changes a working directory between two attempts. Files in its folders
// are not looked for at once after the first one.
func TestScratchIsChecked(t *testing.T) {
	t.Parallel()
	traces := map[string]func(dir string) error{
		"file":    func(dir string) error { return os.WriteFile(filepath.Join(dir, "tmp", "x"), nil, 0o600) },
		"removed": func(dir string) error { return os.Remove(filepath.Join(dir, "tmp")) },
	}
	for name, trace := range traces {
		for _, soon := range []bool{false, true} {
			s := openScratch(t)
			before := s.dir
			s.Close(s.made.Add(time.Minute))
			if err := trace(before); err != nil {
				t.Fatal(err)
			}
			if s.checked = s.checked.Add(-time.Hour); soon {
				s.checked = s.checked.Add(2 * time.Hour)
			}
			dir, err := s.Open()
			if kept := dir == before; err != nil || kept != (soon && name == "file") {
				t.Errorf("%s, soon: %v: kept: %v, %v", name, soon, kept, err)
			}
		}
	}
}

// TestRemoveAll removes a tree that is hard to remove. As root only the depth makes it
// hard.
func TestRemoveAll(t *testing.T) {
	t.Parallel()
	for _, remove := range []func(string) error{removeAll, flatten} {
		root := t.TempDir()
		top := filepath.Join(root, "top")
		locked := filepath.Join(top, "a", "locked")
		for _, dir := range []string{filepath.Join(locked, "b"), filepath.Join(top, "c")} {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o400); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("/etc", filepath.Join(top, "link")); err != nil {
			t.Fatal(err)
		}
		deepen(t, filepath.Join(top, "c"), 40)
		if err := os.Chmod(locked, 0); err != nil {
			t.Fatal(err)
		}
		if err := remove(top); err != nil {
			t.Error(err)
		}
		if list, _ := os.ReadDir(root); len(list) != 0 {
			t.Errorf("left: %v", list)
		}
	}
}

// deepen makes a folder so deep that no path reaches its end.
func deepen(t *testing.T, dir string, levels int) {
	t.Helper()
	at, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("d", 200)
	for range levels {
		if err := at.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
		next, err := at.OpenRoot(name)
		at.Close()
		if err != nil {
			t.Fatal(err)
		}
		at = next
	}
	at.Close()
}

// TestSweep removes what an earlier instance left, and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, name := range []string{"lane-0a/1/out", "precious"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	NewRoot(root, slog.New(slog.DiscardHandler)).Sweep()
	if list, _ := os.ReadDir(root); len(list) != 1 || list[0].Name() != "precious" {
		t.Errorf("left: %v", list)
	}
}

// TestScratchFolderIsMadeAgain removes the scratch folder, and then makes it a file. The
// log says once that it was made again; what cannot be made again is an error.
func TestScratchFolderIsMadeAgain(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	dir := filepath.Join(t.TempDir(), "scratch")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	root := NewRoot(dir, slog.New(slog.NewTextHandler(&log, nil)))
	all := []*Scratch{root.NewScratch(), root.NewScratch(), root.NewScratch()}
	open := func() (err error) {
		for _, s := range all {
			var dir string
			if dir, err = s.Open(); err == nil {
				_, err = os.Stat(filepath.Join(dir, "out"))
			}
			s.Close(time.Now())
		}
		return err
	}
	if err := open(); err != nil || log.Len() > 0 {
		t.Fatal(err, log.String())
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := open(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "was made again"); n != 1 {
		t.Errorf("the log says %d times that the folder was made again:\n%s", n, log.String())
	}
	if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := open(); err == nil {
		t.Error("a file was taken for a folder")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := open(); err != nil {
		t.Error(err)
	}
}
