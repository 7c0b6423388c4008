package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"
	"testing"
	"time"
)

func init() { children["writer"] = writeForEver }

// sealed is content that can be seen to be whole.
func sealed(n int) []byte {
	body := bytes.Repeat([]byte{byte(n)}, n)
	sum := sha256.Sum256(body)
	return append(sum[:], body...)
}

func whole(data []byte) bool {
	if len(data) < sha256.Size {
		return false
	}
	return sha256.Sum256(data[sha256.Size:]) == [sha256.Size]byte(data)
}

// writeForEver creates objects and prints the key of each that is safe.
func writeForEver() error {
	s, err := Open(context.Background(), os.Getenv("STORE_TEST_DIR"))
	if err != nil {
		return err
	}
	s.disk().unnamed = s.disk().unnamed && os.Getenv("STORE_TEST_WAY") == "unnamed"
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("results/%x/%d-%x-%x.json", i%16, os.Getpid(), w, i)
				if err := s.Create(context.Background(), key, sealed(rand.IntN(100_000))); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Println(key)
				if err := s.Replace(context.Background(), fmt.Sprintf("logs/00/%x.log", w), sealed(i)); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
			}
		})
	}
	wg.Wait()
	return nil
}

// A kill at any moment leaves whole objects only, all of those that were
// reported, and nothing that the next Open does not sweep away.
func TestKilledWriters(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"unnamed", "temporary"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var safe []string
			for range 8 {
				safe = append(safe, killedWriter(t, dir, way, 1+rand.IntN(20))...)
			}
			s := open(t, dir)
			checkObjects(t, s, safe)
			if left := tempFiles(t, s); len(left) > 0 {
				t.Errorf("not swept: %v", left)
			}
			if entries, _ := fs.ReadDir(s.disk().root.FS(), tempRoot); len(entries) != 1 {
				t.Errorf("folders of dead processes are left: %v", entries)
			}
		})
	}
}

// killedWriter lets a child report some objects, kills it, and returns what it
// reported until then.
func killedWriter(t *testing.T, dir, way string, after int) (keys []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"=writer", "STORE_TEST_DIR="+dir, "STORE_TEST_WAY="+way)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break
		}
		if keys = append(keys, strings.TrimSpace(line)); len(keys) == after {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	if stderr.Len() > 0 {
		t.Error(stderr.String())
	}
	return keys
}

func checkObjects(t *testing.T, s *Store, safe []string) {
	t.Helper()
	seen := map[string]bool{}
	for _, top := range []string{"results", "logs"} {
		err := fs.WalkDir(s.disk().root.FS(), top, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			seen[name] = true
			if data, err := fs.ReadFile(s.disk().root.FS(), name); err != nil || !whole(data) {
				t.Errorf("%s is not whole: %d bytes, %v", name, len(data), err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range safe {
		if !seen[key] {
			t.Errorf("%s was reported and is gone", key)
		}
	}
}

// A sweep leaves the temporary files of a process that lives.
func TestSweepSparesTheLiving(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := open(t, dir)
	first.disk().unnamed = false
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := first.CreateFrom(context.Background(), ResultKey(id1), pr)
		done <- err
	}()
	if _, err := pw.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if left := tempFiles(t, first); len(left) != 1 {
		t.Errorf("the file being written: %v", left)
	}
	if _, err := pw.Write([]byte(" and half")); err != nil {
		t.Fatal(err)
	}
	_ = pw.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := content(t, first, ResultKey(id1)); got != "half and half" {
		t.Errorf("got %q", got)
	}
}

// Processes that start at the same moment do not take one another's folder.
func TestManyOpenAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 10 {
				s, err := Open(context.Background(), dir)
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.Replace(t.Context(), "logs/00/x.log", []byte{byte(i)}); err != nil {
					t.Error(err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if entries, err := os.ReadDir(path.Join(dir, tempRoot)); len(entries) > 0 || err != nil {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// What somebody has put among the temporary folders, and what cannot be removed
// there, keeps no store from being opened.
func TestOpenBesideLeftovers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(path.Join(dir, tempRoot), 0o700), os.Symlink("/etc", path.Join(dir, tempRoot, "left"))); err != nil {
		t.Fatal(err)
	}
	s, err := Open(context.Background(), "file://"+dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat("/etc/passwd"); err != nil {
		t.Error(err)
	}
}

// TestSweepSparesOtherMachines opens a store beside the temporary folders of other machines,
// whose locks cannot be seen.
func TestSweepSparesOtherMachines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := open(t, dir)
	a.disk().unnamed = false // as on NFS
	lives, old, before := path.Join(dir, tempRoot, "0123abcd-lives"), path.Join(dir, tempRoot, "0123abcd-old"), path.Join(dir, tempRoot, "before")
	for _, name := range []string{lives, old, before} {
		if err := os.MkdirAll(path.Join(name, "1"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if at := time.Now().Add(-sweepAfter - time.Hour); os.Chtimes(old, at, at) != nil {
		t.Fatal("cannot change the time")
	}
	open(t, dir)
	for name, want := range map[string]bool{lives: true, old: false, before: false} {
		if _, err := os.Stat(name); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Another machine sweeps that of a.
	if err := os.RemoveAll(path.Join(dir, a.disk().temp.path)); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, a, ResultKey(id1), "x")
	if err := a.Replace(t.Context(), LogKey(id1, 1), []byte("y")); err != nil {
		t.Fatal(err)
	}
}
