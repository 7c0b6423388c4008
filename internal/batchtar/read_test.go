package batchtar

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/runnerbean/runnerbean/internal/batchtar/batchtartest"
	"github.com/runnerbean/runnerbean/jobs"
)

type entry = batchtartest.Entry

const document = `{"job":{"program":"p","files":[{"name":"a","url":"package:a"}]},"frames":"1-2"}`

// read reads a tar and returns the texts of its files.
func read(ctx context.Context, r io.Reader) (Package, map[string]string, error) {
	texts := map[string]string{}
	found, err := Read(ctx, r, func(name string, size int64, r io.Reader) (string, error) {
		text, err := io.ReadAll(io.LimitReader(r, 1<<20))
		if err == nil && size < 1<<20 && int64(len(text)) != size {
			err = fmt.Errorf("%s has %d bytes, not %d", name, len(text), size)
		}
		texts[name] = string(text)
		return digest(string(text)), err
	})
	return found, texts, err
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// TestRead reads what tar programs write: folders, names from the folder where they were called,
// long names, and global headers.
func TestRead(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long/", 100) + "ü ${frame}"
	text := batchtartest.Make(
		t, entry{Type: tar.TypeXGlobalHeader, Records: map[string]string{"comment": "a commit"}}, entry{Name: "./", Type: tar.TypeDir},
		entry{Name: "./scenes/", Type: tar.TypeDir}, entry{Name: "./scenes/a", Text: strings.Repeat("x", 512)}, entry{Name: long, Text: "l"},
		entry{Name: "./batch.json", Text: document}, entry{Name: "empty"},
	)
	for name, r := range map[string]io.Reader{"whole": bytes.NewReader(text), "byte by byte": iotest.OneByteReader(bytes.NewReader(text))} {
		found, texts, err := read(t.Context(), r)
		if err != nil || string(found.Batch) != document || len(texts) != 3 || texts[long] != "l" || texts["scenes/a"] != strings.Repeat("x", 512) {
			t.Errorf("%s: %+v, %v", name, texts, err)
		}
	}
}

// TestRefused refuses hostile tars, each with an error that names the entry.
func TestRefused(t *testing.T) {
	t.Parallel()
	batch := entry{Name: "batch.json", Text: document}
	many := []entry{batch}
	for i := range jobs.MaxPackage + 1 {
		many = append(many, entry{Name: strconv.Itoa(i)})
	}
	for want, entries := range map[string][]entry{
		`"../a" has ".." in its name`:         {batch, {Name: "../a"}},
		`"a/../../b" has ".." in its name`:    {batch, {Name: "a/../../b"}},
		`"./../a" has ".." in its name`:       {batch, {Name: "./../a"}},
		`"../" has ".." in its name`:          {batch, {Name: "../", Type: tar.TypeDir}},
		`"/etc/passwd" has an absolute path`:  {batch, {Name: "/etc/passwd"}},
		`has a backslash in its name`:         {batch, {Name: `a\b`}},
		`has a control character in its name`: {batch, {Name: "a\nb"}},
		`has a name that is not UTF-8`:        {batch, {Name: "a\xff"}},
		`has an empty part`:                   {batch, {Name: "a//b"}},
		`has a part of its name of more than`: {batch, {Name: strings.Repeat("x", 256)}},
		`has a name of more than`:             {batch, {Name: strings.Repeat("x/", 600) + "x"}},
		`"a" is a symbolic link`:              {batch, {Name: "a", Type: tar.TypeSymlink, Link: "/etc/passwd"}},
		`"b" is a symbolic link`:              {batch, {Name: "a", Text: "x"}, {Name: "b", Type: tar.TypeSymlink, Link: "a"}},
		`"a" is a hard link`:                  {batch, {Name: "a", Type: tar.TypeLink, Link: "batch.json"}},
		`"a" is a device`:                     {batch, {Name: "a", Type: tar.TypeChar}},
		`"b" is a device`:                     {batch, {Name: "b", Type: tar.TypeBlock}},
		`"a" is a named pipe`:                 {batch, {Name: "a", Type: tar.TypeFifo}},
		`"./a" is there twice`:                {batch, {Name: "a"}, {Name: "./a"}},
		`"batch.json" is there twice`:         {batch, batch},
		`has no batch.json`:                   {{Name: "a"}, {Name: "x/batch.json", Text: document}},
		`"batch.json" is a symbolic link`:     {{Name: "batch.json", Type: tar.TypeSymlink, Link: "a"}},
		`and it may have at most 1048576`:     {{Name: "batch.json", Text: strings.Repeat(" ", jobs.MaxDocument+1)}},
		`is one more than the 10000 files`:    many,
		`the tar has more than 20000 entries`: append(folders(20001), batch),
	} {
		_, _, err := read(t.Context(), bytes.NewReader(batchtartest.Make(t, entries...)))
		if refused, ok := errors.AsType[*Refused](err); !ok || !strings.Contains(refused.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func folders(n int) (list []entry) {
	for i := range n {
		list = append(list, entry{Name: strconv.Itoa(i) + "/", Type: tar.TypeDir})
	}
	return list
}

// TestLarge refuses what claims to be too large, before it is read.
func TestLarge(t *testing.T) {
	t.Parallel()
	header := batchtartest.Make(t, entry{Name: "a"})[:512]
	copy(header[124:136], fmt.Sprintf("%011o\x00", int64(8)<<30-1))
	claim := func(size int64) []byte {
		var out bytes.Buffer
		if err := tar.NewWriter(&out).WriteHeader(&tar.Header{Name: "a", Size: size, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	if _, _, err := read(t.Context(), bytes.NewReader(claim(MaxFile+1))); err == nil || !strings.Contains(err.Error(), `"a" has 10737418241 bytes, and a file at most 10 GiB`) {
		t.Error(err)
	}
	in := &counter{ctx: t.Context(), from: strings.NewReader("x"), n: MaxTar}
	if _, err := in.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "larger than 64 GiB") {
		t.Error(err)
	}
}

// TestSparse refuses sparse files in all forms: an entry of a few bytes may stand for gigabytes.
func TestSparse(t *testing.T) {
	t.Parallel()
	old := batchtartest.Make(t, entry{Name: "a"})[:512]
	old[156] = tar.TypeGNUSparse
	copy(old[257:265], "ustar  \x00")
	copy(old[483:495], "77777777777\x00") // the size of the whole file
	copy(old[148:156], "        ")
	sum := 0
	for _, b := range old {
		sum += int(b)
	}
	copy(old[148:156], fmt.Sprintf("%06o\x00 ", sum))
	pax := func(records map[string]string, text string) []byte {
		raw := batchtartest.Make(t, entry{Name: "a", Text: text, Records: map[string]string{"RUNNERBEAN.x": strings.Repeat("x", 100)}})
		var lines string
		for _, name := range []string{"GNU.sparse.major", "GNU.sparse.minor", "GNU.sparse.name", "GNU.sparse.realsize", "GNU.sparse.size", "GNU.sparse.numblocks", "GNU.sparse.map"} {
			value, ok := records[name]
			if !ok {
				continue
			}
			n := len(name) + len(value) + 3
			n += len(strconv.Itoa(n + len(strconv.Itoa(n))))
			lines += fmt.Sprintf("%d %s=%s\n", n, name, value)
		}
		copy(raw[512:1024], make([]byte, 512))
		copy(raw[512:], lines)
		copy(raw[124:136], fmt.Sprintf("%011o\x00", len(lines)))
		copy(raw[148:156], "        ")
		sum := 0
		for _, b := range raw[:512] {
			sum += int(b)
		}
		copy(raw[148:156], fmt.Sprintf("%06o\x00 ", sum))
		return raw
	}
	for name, text := range map[string][]byte{
		"old":     append(old, make([]byte, 1024)...),
		"PAX 0.1": pax(map[string]string{"GNU.sparse.size": "8000000000", "GNU.sparse.numblocks": "1", "GNU.sparse.map": "7999999999,1"}, "x"),
		"PAX 1.0": pax(map[string]string{"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a", "GNU.sparse.realsize": "8000000000"}, "1\n7999999999\n1\n"+strings.Repeat("\x00", 512-15)+"x"),
	} {
		kept := false
		_, err := Read(t.Context(), bytes.NewReader(text), func(string, int64, io.Reader) (string, error) { kept = true; return "", nil })
		if refused, ok := errors.AsType[*Refused](err); !ok || kept || !strings.Contains(refused.Reason, "sparse") {
			t.Errorf("%s: %v, %t", name, err, kept)
		}
	}
}

// TestCutOff refuses a tar that is cut off at any byte, also between two entries, and reports the
// error of a source that fails there.
func TestCutOff(t *testing.T) {
	t.Parallel()
	text := batchtartest.Make(t, entry{Name: "batch.json", Text: document}, entry{Name: "a", Text: strings.Repeat("\x00", 1100)}, entry{Name: "b/", Type: tar.TypeDir})
	end := len(text) - 1024
	broken := errors.New("the connection is gone")
	for n := range end + block {
		if _, _, err := read(t.Context(), bytes.NewReader(text[:n])); !refusedAs(err, "cut off") {
			t.Fatalf("after %d of %d bytes: %v", n, len(text), err)
		}
		if _, _, err := read(t.Context(), io.MultiReader(bytes.NewReader(text[:n]), iotest.ErrReader(broken))); !errors.Is(err, broken) {
			t.Fatalf("after %d of %d bytes: %v", n, len(text), err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(broken)
	if _, _, err := read(ctx, bytes.NewReader(text)); !errors.Is(err, broken) {
		t.Error(err)
	}
	for _, text := range []string{"", document, strings.Repeat("x", 4096), strings.Repeat("\x1f\x8b\x08", 1000)} {
		if _, _, err := read(t.Context(), strings.NewReader(text)); !refusedAs(err, "the tar is ") {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func refusedAs(err error, words string) bool {
	refused, ok := errors.AsType[*Refused](err)
	return ok && strings.Contains(refused.Error(), words)
}

// TestWhole adds the files to the batch, beside those that it names itself.
func TestWhole(t *testing.T) {
	t.Parallel()
	a, b := digest("a"), digest("b")
	for batch, want := range map[string]string{
		`{"job":{"program":"p","timeout":"1h"},"frames":[1.0,9007199254740993]}`: `"frames":[1.0,9007199254740993],"job":{"program":"p","timeout":"1h"},"package":{"a":"` + a + `"}}`,
		`{"package":{"b":"` + b + `","a":"` + a + `"},"job":{}}`:                 `"package":{"a":"` + a + `","b":"` + b + `"}}`,
		`{"package":{"a":"` + b + `"},"job":{}}`:                                 `entry "a" has the SHA-256 ` + a + `, and batch.json says ` + b,
		`{"package":["a"],"job":{}}`:                                             `package must be an object`,
		`{"package":{"a":"x","a":"y"}}`:                                          `package.a occurs twice`,
		`{"frames":`:                                                             `is not JSON: it ends too early`,
		`[]`:                                                                     `must be an object`,
	} {
		p := Package{Batch: []byte(batch), Files: map[string]string{"a": a}}
		text, err := p.Whole()
		if got := fmt.Sprintf("%s %v", text, err); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", batch, got, want)
		}
	}
}

// FuzzRead reads any bytes: what is taken has good names, and can be read again.
func FuzzRead(f *testing.F) {
	f.Add(batchtartest.Make(f, entry{Name: "batch.json", Text: document}, entry{Name: "./scenes/a", Text: "x"}))
	f.Add(batchtartest.Make(f, entry{Name: "b/", Type: tar.TypeDir}, entry{Name: strings.Repeat("x/", 200) + "a", Text: "x"}, entry{Name: "batch.json", Text: document}))
	f.Add(batchtartest.Make(f, entry{Name: "../a", Type: tar.TypeSymlink, Link: "/"}))
	f.Fuzz(func(t *testing.T, text []byte) {
		found, texts, err := read(t.Context(), bytes.NewReader(text))
		if err != nil {
			if _, ok := errors.AsType[*Refused](err); !ok {
				t.Fatal(err)
			}
			return
		}
		entries := []entry{{Name: "batch.json", Text: string(found.Batch)}}
		for name, text := range texts {
			if strings.Contains("/"+name+"/", "/../") || strings.HasPrefix(name, "/") {
				t.Fatal(name)
			}
			entries = append(entries, entry{Name: name, Text: text})
		}
		again, _, err := read(t.Context(), bytes.NewReader(batchtartest.Make(t, entries...)))
		if err != nil || fmt.Sprint(again.Files) != fmt.Sprint(found.Files) {
			t.Fatalf("%v, not %v: %v", again.Files, found.Files, err)
		}
		_, _ = found.Whole()
	})
}
