package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/runnerbean/runnerbean/internal/store"
)

// entry is one of a tar file.
type entry struct {
	tar.Header
	body string
}

// entries reads an archive.
func entries(t testing.TB, archive []byte) (list []entry) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(unpack(t, archive)))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		must(t, err)
		body, err := io.ReadAll(r)
		must(t, err)
		list = append(list, entry{*h, string(body)})
	}
}

// packed writes an archive of entries, whatever they are.
func packed(t testing.TB, list []entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range list {
		must(t, w.WriteHeader(&e.Header))
		_, err := io.WriteString(w, e.body)
		if err != nil && e.Typeflag == tar.TypeReg {
			t.Fatal(err)
		}
	}
	_ = w.Close()
	return compressed(t, out.Bytes())
}

func compressed(t testing.TB, text []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	must(t, err)
	defer z.Close()
	return z.EncodeAll(text, nil)
}

func file(name, body string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(body)), Mode: 0o600, ModTime: time.Now()}, body}
}

// TestHostileArchives puts what no backup writes behind the ledger of a good archive.
func TestHostileArchives(t *testing.T) {
	t.Parallel()
	p := newPool(t, 40)
	archive, _ := p.archive()
	good := entries(t, archive)
	if _, err := Check(t.Context(), bytes.NewReader(packed(t, good)), silent); err != nil {
		t.Fatalf("packed again: %v", err)
	}
	object := good[2]
	link := file(object.Name, "")
	link.Typeflag, link.Linkname = tar.TypeSymlink, "/etc/passwd"
	huge := file(object.Name, "")
	huge.Size = 1 << 50
	text := file(manifestName, strings.Repeat(" ", maxText+1))
	other := file(manifestName, strings.Replace(good[0].body, `"format":1`, `"format":2`, 1))
	newer := file(manifestName, strings.Replace(good[0].body, `"schema":`, `"schema":9`, 1))
	id := "ffffffff-0000-7000-8000-00000000ffff"
	changed := good[2]
	changed.body = strings.Repeat("x", len(changed.body))
	for name, test := range map[string]struct {
		list []entry
		want string // a part of the error
	}{
		"nothing":             {nil, "ends too early"},
		"no manifest":         {good[1:], "begins with"},
		"long manifest":       {[]entry{text}, "too large"},
		"another format":      {[]entry{other}, "its format is 2"},
		"a newer schema":      {append([]entry{newer}, good[1:]...), "this program knows"},
		"no ledger":           {[]entry{good[0], object}, "in place of the ledger"},
		"another ledger":      {[]entry{good[0], file(ledgerName, "not a database, at least not one that anybody could open")}, "its ledger"},
		"way out":             {[]entry{good[0], good[1], file("store/../../../etc/cron.d/x", "x")}, "bad key"},
		"absolute":            {[]entry{good[0], good[1], file("/etc/cron.d/x", "x")}, "has no place"},
		"temporary folder":    {[]entry{good[0], good[1], file("store/tmp/x", "x")}, "bad key"},
		"the identity":        {[]entry{good[0], good[1], file("store/identity", "x")}, "bad key"},
		"twice":               {rebuilt(t, append(append([]entry{}, good[:3]...), good[2:]...)), "twice, or not in order"},
		"not in order":        {rebuilt(t, append(append([]entry{}, good[0], good[1], good[3], good[2]), good[4:]...)), "twice, or not in order"},
		"of no job":           {[]entry{good[0], good[1], file("store/"+store.ResultKey(id), "x")}, "of no job"},
		"link":                {[]entry{good[0], good[1], link}, "is not a file"},
		"more than the disk":  {[]entry{good[0], good[1], huge}, ""}, // the disk, or its end
		"no end":              {good[:len(good)-1], "ends too early"},
		"no table":            {append(append([]entry{}, good[:len(good)-2]...), good[len(good)-1]), "does not belong"},
		"an object left out":  {append(append([]entry{}, good[:2]...), good[3:]...), "other digests"},
		"another content":     {append(append([]entry{}, good[0], good[1], changed), good[3:]...), "other digests"},
		"a result left out":   {rebuilt(t, without(good, "/results/")), "successes have no result"},
		"something after it":  {append(append([]entry{}, good...), file("more", "x")), "more after its end"},
		"second manifest":     {[]entry{good[0], good[1], good[0]}, "has no place"},
		"the table of others": {[]entry{good[0], good[1], file(digestPrefix+"00000000", strings.Repeat("0", 64)+" 1 manifest.json\n")}, "other digests"},
		"long table":          {[]entry{good[0], good[1], file(digestPrefix+"00000000", strings.Repeat("0", maxTable+1))}, "too large"},
	} {
		to := place(t)
		_, err := Restore(t.Context(), to, bytes.NewReader(packed(t, test.list)), "", silent)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: restored with %v, want %q", name, err, test.want)
		}
		if _, err := Check(t.Context(), bytes.NewReader(packed(t, test.list)), silent); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: checked with %v, want %q", name, err, test.want)
		}
		for path := range objects(t, to.Data) {
			if path == "ledger.db" || strings.Contains(path, "cron") || path == "store/identity" || path == "ledger.db.restoring" {
				t.Errorf("%s: %s is left", name, path)
			}
		}
	}
}

// without leaves out the first entry that has a text in its name.
func without(list []entry, part string) []entry {
	i := slices.IndexFunc(list, func(e entry) bool { return strings.Contains(e.Name, part) })
	return slices.Delete(slices.Clone(list), i, i+1)
}

// rebuilt makes the table and the end fit entries that have one table.
func rebuilt(t testing.TB, list []entry) []entry {
	t.Helper()
	list = slices.Clone(list)
	last := len(list) - 1
	var end End
	must(t, json.Unmarshal([]byte(list[last].body), &end))
	table := ""
	end.Objects, end.Bytes = 0, 0
	for _, e := range list[:last-1] {
		sum := sha256.Sum256([]byte(e.body))
		table += digestLine(hex.EncodeToString(sum[:]), e.Size, e.Name)
		if strings.HasPrefix(e.Name, objectPrefix) {
			end.Objects, end.Bytes = end.Objects+1, end.Bytes+e.Size
		}
	}
	sum := sha256.Sum256([]byte(table))
	end.Tables = hex.EncodeToString(sum[:])
	body, err := json.Marshal(end)
	must(t, err)
	list[last-1], list[last] = file(list[last-1].Name, table), file(endName, string(body))
	return list
}

// TestMoreObjectsThanATable has no table after a thousand objects.
func TestMoreObjectsThanATable(t *testing.T) {
	t.Parallel()
	list := []entry{file(manifestName, `{"format":1}`), file(ledgerName, "x")}
	for n := range tableLines + 2 {
		list = append(list, file("store/"+store.LogKey("0193b1c2-0000-7000-8000-00000000abcd", 10_000+n), ""))
	}
	_, err := read(t.Context(), bytes.NewReader(packed(t, list)), nothing{})
	if !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), "before a table") {
		t.Errorf("error %v", err)
	}
}

// nothing is a sink that reads and drops everything.
type nothing struct{}

func (nothing) manifest(Manifest) error { return nil }
func (nothing) ledger(_ int64, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func (nothing) object(key string, _ int64, _ time.Time, r io.Reader) error {
	if strings.Contains(key, "..") || strings.HasPrefix(key, "/") {
		panic("a key that leads out: " + key)
	}
	_, err := io.Copy(io.Discard, r)
	return err
}

// FuzzArchive reads what may be an archive: as it is, and compressed.
func FuzzArchive(f *testing.F) {
	p := newPool(f, 5)
	archive, _ := p.archive()
	list := entries(f, archive)
	list[1] = file(ledgerName, "x")
	f.Add(packed(f, list))
	f.Add(unpack(f, packed(f, list)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<20 {
			return
		}
		for _, in := range [][]byte{data, compressed(t, data)} {
			r, err := read(context.Background(), bytes.NewReader(in), nothing{})
			if err != nil && !errors.Is(err, ErrArchive) {
				t.Errorf("error %v", err)
			}
			if err == nil && r.end.Objects != r.summary.Objects {
				t.Error("it counts in two ways")
			}
		}
	})
}

// FuzzFiles reads what may be a document with files.
func FuzzFiles(f *testing.F) {
	for _, seed := range []string{`{"attempt":1,"artifacts":[{"name":"a"}]}`, `{"result":{"artifacts":[1]}}`, `[]`, `{"artifacts":null}`, `{"attempt":"x"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseFiles(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, name := range list.names {
			if key := store.FileKey("0193b1c2-0000-7000-8000-00000000abcd", 1, name); store.CheckKey(key) != nil {
				t.Errorf("%q gives the key %q", name, key)
			}
		}
	})
}

// FuzzKeys reads what may be a file of keys.
func FuzzKeys(f *testing.F) {
	f.Add([]byte(`{"format":1,"ledger":"aaaaaaaaaa","secrets":{"a":"b"},"files":{"RUNNERBEAN_TOKENS_FILE":"eA=="}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := parseKeys(text)
		if err == nil && k.Format != format {
			t.Errorf("%+v", k)
		}
	})
}
