package checkpoint

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// folder makes a folder with files. A name that ends in a slash is a folder.
func folder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range files {
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
			continue
		}
		must(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("of "+name), 0o644))
	}
	return dir
}

func packFolder(t *testing.T, dir string, limit int64) ([]byte, packed, error) {
	t.Helper()
	spool := filepath.Join(t.TempDir(), "spool")
	p, err := pack(t.Context(), dir, spool, limit)
	if err != nil {
		return nil, p, err
	}
	defer p.file.Close()
	if _, err := os.Lstat(spool); !os.IsNotExist(err) {
		t.Errorf("the file of a checkpoint has a name: %v", err)
	}
	_, err = p.file.Seek(0, io.SeekStart)
	must(t, err)
	data, err := io.ReadAll(p.file)
	must(t, err)
	if int64(len(data)) != p.size {
		t.Errorf("%d bytes, and size is %d", len(data), p.size)
	}
	return data, p, nil
}

func TestPackAndUnpack(t *testing.T) {
	t.Parallel()
	dir := folder(t, "state", "deep/er/grid.bin", "deep/none/", "ünï", "emptY/")
	data, first, err := packFolder(t, dir, 1<<20)
	must(t, err)
	// The same content gives the same bytes, whatever the times, permissions and order.
	other := folder(t, "emptY/", "ünï", "deep/none/", "deep/er/grid.bin", "state")
	must(t, os.Chtimes(filepath.Join(other, "state"), time.Unix(1, 0), time.Unix(1, 0)))
	must(t, os.Chmod(filepath.Join(other, "state"), 0o400))
	if _, second, err := packFolder(t, other, 1<<20); err != nil || second.sha256 != first.sha256 {
		t.Errorf("another digest: %v", err)
	}
	must(t, os.WriteFile(filepath.Join(other, "ünï"), []byte("another"), 0o600))
	if _, second, err := packFolder(t, other, 1<<20); err != nil || second.sha256 == first.sha256 {
		t.Errorf("the same digest: %v", err)
	}
	to := t.TempDir()
	must(t, unpack(t.Context(), bytes.NewReader(data), to, 1<<20))
	for name, mode := range map[string]os.FileMode{"state": 0o600, "deep/er/grid.bin": 0o600, "deep/none": os.ModeDir | 0o700, "ünï": 0o600, "emptY": os.ModeDir | 0o700} {
		info, err := os.Lstat(filepath.Join(to, name))
		must(t, err)
		if info.Mode() != mode {
			t.Errorf("%s has mode %s, want %s", name, info.Mode(), mode)
		}
	}
	if text, err := os.ReadFile(filepath.Join(to, "deep/er/grid.bin")); string(text) != "of deep/er/grid.bin" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestPackRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(dir string) error
		want string
	}{
		"nothing":     {func(string) error { return nil }, "is empty"},
		"link":        {func(dir string) error { return os.Symlink("/etc/passwd", dir+"/link") }, `checkpoint/"link" is a symbolic link`},
		"folder link": {func(dir string) error { return os.Symlink("/etc", dir+"/link") }, `checkpoint/"link" is a symbolic link`},
		"hard link": {func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/a", nil, 0o600), os.Link(dir+"/a", dir+"/b"))
		}, "hard link"},
		"pipe":     {func(dir string) error { return unix.Mkfifo(dir+"/pipe", 0o600) }, "neither a regular file nor a folder"},
		"bad name": {func(dir string) error { return os.WriteFile(dir+"/\xff", nil, 0o600) }, "is not UTF-8"},
		"too large": {func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/a", nil, 0o600), os.Truncate(dir+"/a", 10<<30))
		}, "larger than 1.0 GiB"},
		"large in sum":  {func(dir string) error { return large(dir, 600<<20, "a", "b") }, "larger than 1.0 GiB"},
		"no folder":     {os.Remove, "not there any more"},
		"folder a file": {func(dir string) error { return errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600)) }, "not there any more"},
	} {
		dir := filepath.Join(t.TempDir(), "checkpoint")
		must(t, os.Mkdir(dir, 0o700))
		must(t, c.make(dir))
		_, _, err := packFolder(t, dir, 1<<30)
		var refused *Refused
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// large makes files with holes.
func large(dir string, size int64, names ...string) error {
	for _, name := range names {
		if err := errors.Join(os.WriteFile(dir+"/"+name, nil, 0o600), os.Truncate(dir+"/"+name, size)); err != nil {
			return err
		}
	}
	return nil
}

// changing changes a folder while it is read, at each write of the packed data.
type changing struct{ change func() }

func (c changing) Write(p []byte) (int, error) { c.change(); return len(p), nil }

// A change while the files are read gives another digest of the list, or an error.
func TestPackSeesChanges(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(dir string) error{
		"written in place": func(dir string) error { return os.WriteFile(dir+"/a", []byte("longer than before"), 0o600) },
		"renamed over": func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/new", []byte("of a"), 0o600), os.Rename(dir+"/new", dir+"/a"))
		},
		"added":   func(dir string) error { return os.WriteFile(dir+"/c", nil, 0o600) },
		"removed": func(dir string) error { return os.Remove(dir + "/a") },
		"touched": func(dir string) error { return os.Chtimes(dir+"/a", time.Now(), time.Now().Add(time.Second)) },
	} {
		dir := folder(t, "a", "b")
		must(t, os.WriteFile(dir+"/b", bytes.Repeat([]byte("0123456789"), 1<<20), 0o600))
		look := func() string {
			digest, err := (&walk{ctx: t.Context()}).run(dir)
			must(t, err)
			return digest
		}
		before, changed := look(), false
		if before != look() {
			t.Fatal("two looks differ")
		}
		during, err := write(t.Context(), changing{func() {
			if !changed {
				changed = true
				must(t, change(dir))
			}
		}}, dir, 0)
		if !changed || err == nil && before == during && before == look() {
			t.Errorf("%s: not seen: %v", name, err)
		}
	}
}

// A folder that changes is packed again, and refused in the end.
func TestUntilSame(t *testing.T) {
	t.Parallel()
	for changes, want := range map[int]bool{0: true, packTries - 1: true, packTries: false} {
		calls := 0
		p, err := untilSame(func() (packed, error) {
			if calls++; calls <= changes {
				return packed{}, errChanged
			}
			return packed{size: 7}, nil
		})
		var refused *Refused
		if want && (err != nil || p.size != 7) || !want && !errors.As(err, &refused) {
			t.Errorf("after %d changes: %+v, %v", changes, p, err)
		}
	}
}

// archive returns a compressed tar.
func archive(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	packing, err := zstd.NewWriter(&b)
	must(t, err)
	w := tar.NewWriter(packing)
	for _, h := range headers {
		must(t, w.WriteHeader(&h))
		_, err := w.Write(make([]byte, h.Size))
		must(t, err)
	}
	must(t, errors.Join(w.Close(), packing.Close()))
	return b.Bytes()
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	file := func(name string, size int64) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600}
	}
	for name, data := range map[string][]byte{
		"way out":    archive(t, file("../x", 1)),
		"absolute":   archive(t, file("/x", 1)),
		"link":       archive(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/tmp"}, file("l/x", 1)),
		"hard link":  archive(t, tar.Header{Typeflag: tar.TypeLink, Name: "l", Linkname: "/etc/passwd"}),
		"device":     archive(t, tar.Header{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}),
		"twice":      archive(t, file("x", 1), file("x", 1)),
		"no folder":  archive(t, file("d/x", 1)),
		"too large":  archive(t, file("x", 600), file("y", 600)),
		"cut":        archive(t, file("x", 10))[:20],
		"no archive": []byte("no archive"),
	} {
		dir := filepath.Join(t.TempDir(), "checkpoint")
		must(t, os.Mkdir(dir, 0o700))
		err := unpack(t.Context(), bytes.NewReader(data), dir, 1000)
		var b *broken
		if !errors.As(err, &b) {
			t.Errorf("%s: %v", name, err)
		}
		if list, _ := os.ReadDir(filepath.Dir(dir)); len(list) != 1 {
			t.Errorf("%s: it has left its folder: %v", name, list)
		}
	}
}
