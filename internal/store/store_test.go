package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	id1 = "0193b1c2-0000-7000-8000-00000000abcd"
	id2 = "0193b1c2-0000-7000-8000-00000000abce"
)

func content(t testing.TB, s *Store, key string) string {
	t.Helper()
	o, err := s.Open(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	data, err := io.ReadAll(o)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(data)) != o.Size {
		t.Errorf("Size is %d of %d bytes", o.Size, len(data))
	}
	return string(data)
}

func TestCreateKeepsTheFirst(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, s *Store) {
		key := ResultKey(id1)
		mustCreate(t, s, key, "first")
		err := s.Create(t.Context(), key, []byte("second"))
		if !errors.Is(err, ErrExists) || !errors.Is(err, fs.ErrExist) {
			t.Errorf("second Create: %v", err)
		}
		if got := content(t, s, key); got != "first" {
			t.Errorf("the object became %q", got)
		}
		if left := tempFiles(t, s); len(left) > 0 {
			t.Errorf("temporary files are left: %v", left)
		}
	})
}

// tempFiles lists what lies in the temporary folders of all processes.
func tempFiles(t testing.TB, s *Store) (names []string) {
	t.Helper()
	err := fs.WalkDir(s.disk().root.FS(), tempRoot, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestReplace(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	key := LogKey(id1, 3)
	for _, want := range []string{"one", "", "three"} {
		if err := s.Replace(t.Context(), key, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got := content(t, s, key); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if left := tempFiles(t, s); len(left) > 0 {
		t.Errorf("temporary files are left: %v", left)
	}
	mustCreate(t, s, LogKey(id2, 1), "beside it") // Replace had made the folders
}

func TestOpenAndDelete(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	key := ResultKey(id1)
	absent := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrNotExist) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := s.Open(t.Context(), key)
	absent("Open before", err)
	absent("Delete before", s.Delete(t.Context(), key))
	before := time.Now().Add(-time.Minute)
	mustCreate(t, s, key, "{}")
	o, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if o.ModTime.Before(before) {
		t.Errorf("ModTime %v", o.ModTime)
	}
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(o); string(data) != "{}" || err != nil {
		t.Errorf("an open object was gone with its name: %q, %v", data, err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	_, err = s.Open(t.Context(), key)
	absent("Open after", err)
	if err := os.MkdirAll(filepath.Join(s.disk().root.Name(), "results/aa/folder.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = s.Open(t.Context(), "results/aa/folder.json")
	absent("Open of a folder", err)
}

func TestObjectServesRanges(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	mustCreate(t, s, ResultKey(id1), "0123456789")
	o, err := s.Open(t.Context(), ResultKey(id1))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.Header.Set("Range", "bytes=2-4")
	rec := httptest.NewRecorder()
	http.ServeContent(rec, req, "", o.ModTime, o)
	if diff := cmp.Diff("234", rec.Body.String()); diff != "" {
		t.Error(diff)
	}
}

func TestCreateFrom(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	text := func(s string) io.Reader { return strings.NewReader(s) }
	cases := map[string]struct {
		r    func() io.Reader
		want int64
		err  error
	}{
		"empty":     {func() io.Reader { return text("") }, 0, nil},
		"two parts": {func() io.Reader { return io.MultiReader(text("ab"), text("cd")) }, 4, nil},
		"exact":     {func() io.Reader { return Bounded(text("abcd"), 4) }, 4, nil},
		"too big":   {func() io.Reader { return Bounded(text("abcde"), 4) }, 0, ErrTooBig},
		"nothing":   {func() io.Reader { return Bounded(text("a"), 0) }, 0, ErrTooBig},
		"negative":  {func() io.Reader { return Bounded(text("a"), -7) }, 0, ErrTooBig},
		"chunks":    {func() io.Reader { return io.LimitReader(zeros{}, chunk+1) }, chunk + 1, nil},
		"broken":    {func() io.Reader { return io.MultiReader(text("ab"), failing{broken}) }, 0, broken},
	}
	bothWays(t, func(t *testing.T, s *Store) {
		for name, c := range cases {
			key := FileKey(id1, 1, name)
			n, err := s.CreateFrom(t.Context(), key, c.r())
			if n != c.want || !errors.Is(err, c.err) {
				t.Errorf("%s: %d, %v", name, n, err)
			}
			if c.err == nil && int64(len(content(t, s, key))) != c.want {
				t.Errorf("%s: wrong length", name)
			}
			if _, err := s.Open(t.Context(), key); c.err != nil && !errors.Is(err, ErrNotExist) {
				t.Errorf("%s: there is an object: %v", name, err)
			}
		}
		if left := tempFiles(t, s); len(left) > 0 {
			t.Errorf("temporary files are left: %v", left)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestContextEndsAStream(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("no longer wanted")
	endless := readerFunc(func(p []byte) (int, error) { cancel(why); return len(p), nil })
	if _, err := s.CreateFrom(ctx, FileKey(id1, 1, "x"), endless); !errors.Is(err, why) {
		t.Errorf("CreateFrom: %v", err)
	}
	if _, err := s.Open(ctx, ResultKey(id1)); !errors.Is(err, why) {
		t.Errorf("Open: %v", err)
	}
	if _, err := s.Open(t.Context(), FileKey(id1, 1, "x")); !errors.Is(err, ErrNotExist) {
		t.Errorf("there is an object: %v", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestOpenURL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cases := []struct {
		url, want string
		ok        bool
	}{
		{dir, dir, true},
		{"file://" + dir, dir, true},
		{"file://localhost" + dir, dir, true},
		{"file:///a%20b/", "/a b", true},
		{"file://elsewhere/a", "", false},
		{"file:///a?b", "", false},
		{"file://", "", false},
		{"a/b", "", false},
		{"", "", false},
		{"s3://bucket", "", false},
		{"file:///%zz", "", false},
	}
	for _, c := range cases {
		got, err := folderOf(c.url)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%q: %q, %v", c.url, got, err)
		}
	}
}

func TestFolderThatWentAway(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	mustCreate(t, s, ResultKey(id1), "1")
	if err := os.RemoveAll(filepath.Join(s.disk().root.Name(), "results")); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, s, ResultKey(id1), "2")
}

func TestFree(t *testing.T) {
	t.Parallel()
	if n, err := open(t, t.TempDir()).disk().Free(); n <= 0 || err != nil {
		t.Errorf("Free: %d, %v", n, err)
	}
}

func TestLinksDoNotLeadOut(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(s.disk().root.Name(), "results")); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), ResultKey(id1), nil); err == nil {
		t.Error("an object was made outside of the store")
	}
	if entries, _ := os.ReadDir(outside); len(entries) > 0 {
		t.Errorf("outside there is %v", entries)
	}
	if err := os.MkdirAll(filepath.Join(outside, "aa"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "aa/secret"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), "results/aa/secret"); err == nil {
		t.Error("an object was opened outside of the store")
	}
}

func ExampleFileKey() {
	fmt.Println(FileKey("0193b1c2-0000-7000-8000-00000000abcd", 1, "../Plot 1.png"))
	// Output: files/cd/0193b1c2-0000-7000-8000-00000000abcd.1...%2f%50lot%201.png
}
