// Package batchtartest makes tars for tests.
package batchtartest

import (
	"archive/tar"
	"bytes"
	"testing"
)

// Entry is an entry of a tar. A zero type is a file.
type Entry struct {
	Name, Text, Link string
	Type             byte
	Records          map[string]string // of the PAX header
}

// Make returns a tar of entries.
func Make(t testing.TB, entries ...Entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := &tar.Header{Name: e.Name, Typeflag: e.Type, Linkname: e.Link, Mode: 0o644, Size: int64(len(e.Text)), PAXRecords: e.Records}
		switch h.Typeflag {
		case 0:
			h.Typeflag = tar.TypeReg
		case tar.TypeXGlobalHeader:
			h = &tar.Header{Typeflag: e.Type, PAXRecords: e.Records}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.Text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
