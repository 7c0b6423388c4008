package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const fixture = "testdata/lists/archive.example_dists_test_main_binary-amd64_Packages"

// quiet is a place where nobody reads events.
var quiet = place{events: io.Discard}

func tallyOf(t testing.TB, id, text string) *tally {
	t.Helper()
	got, err := quiet.parseAll(chunk{ID: id, Of: 1}, strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestParagraphs(t *testing.T) {
	t.Parallel()
	const good = "Package: abc\nVersion: 1\nArchitecture: all\n"
	for name, c := range map[string]struct {
		text         string
		records, bad int64
		fault        string
	}{
		"empty":              {"", 0, 0, ""},
		"blank lines only":   {"\n \n\t\r\n", 0, 0, ""},
		"one":                {good, 1, 0, ""},
		"without a last end": {strings.TrimSuffix(good, "\n"), 1, 0, ""},
		"carriage returns":   {strings.ReplaceAll(good, "\n", "\r\n"), 1, 0, ""},
		"blanks between":     {good + "  \n\n\n" + good, 2, 0, ""},
		"other case":         {"PACKAGE: abc\nversion: 1\nARCHITECTURE: all\n", 1, 0, ""},
		"no colon":           {good + "what is this\n\n" + good, 1, 1, errNoName.Error()},
		"a comment":          {"# a comment: no\n" + good, 0, 1, errNoName.Error()},
		"twice":              {good + "VERSION: 2\n", 0, 1, errTwice.Error()},
		"continued":          {" x\n" + good, 0, 1, errNoField.Error()},
		"two lines":          {"Package: abc\n def\nVersion: 1\nArchitecture: all\n", 0, 1, "Package: \"abc\\ndef\" is not valid"},
		"no version":         {"Package: abc\nArchitecture: all\n", 0, 1, "it has no Version"},
		"a size":             {good + "Installed-Size: -1\n", 0, 1, "Installed-Size is no number of KiB"},
		"a path":             {good + "Section: ../../etc\n", 0, 1, "Section: \"../../etc\" is not valid"},
		"no UTF-8":           {good + "Maintainer: \xff\n", 0, 1, errText.Error()},
		"a long line":        {good + "Depends: " + strings.Repeat("ä", maxLine) + "\n\n" + good, 2, 0, ""},
		"a line without end": {good + "Depends: " + strings.Repeat("x", maxParagraph), 0, 1, errLarge.Error()},
		"many lines":         {good + "Depends:\n" + strings.Repeat(" x\n", maxParagraph/3) + "\n" + good, 1, 1, errLarge.Error()},
		"many fields":        {good + manyFields(maxFields) + "\n" + good, 1, 1, errMany.Error()},
		"a long value":       {"Package: " + strings.Repeat("x", maxValue+1) + "\n\n" + good, 1, 1, errValue.Error()},
		"a continued value":  {good + "Section: x\n" + strings.Repeat(" "+strings.Repeat("x", 100)+"\n", 11), 0, 1, errValue.Error()},
	} {
		got := tallyOf(t, "x", c.text)
		if got.Records != c.records || got.Bad != c.bad || c.fault != "" && got.Faults[0].Fault != c.fault {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("X" + strings.Repeat("y", i) + ": z\n")
	}
	return b.String()
}

// TestBoundedMemory reads 128 MiB of a paragraph without end: one line, many fields, long lines.
func TestBoundedMemory(t *testing.T) {
	t.Parallel()
	for name, unit := range map[string]string{"one line": "xxxxxxxxxxxxxxxx", "many fields": "X-Name: value\n", "long lines": strings.Repeat("y", 1<<20)} {
		in := newReader(io.LimitReader(&endless{text: []byte(unit)}, 128<<20))
		p, err := in.next()
		if err != nil || p.Err == nil || len(p.Fields) > len(kept) {
			t.Errorf("%s: %v, %v", name, p.Err, err)
		}
		if _, err := in.next(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// endless repeats a text.
type endless struct {
	text []byte
	at   int
}

func (e *endless) Read(b []byte) (n int, err error) {
	for n < len(b) {
		copied := copy(b[n:], e.text[e.at:])
		n, e.at = n+copied, (e.at+copied)%len(e.text)
	}
	return n, nil
}

// TestFixture counts the paragraphs of the list that the tests of nodes use, too.
func TestFixture(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	got := tallyOf(t, "x", string(text))
	// 40 samples of 2^(n mod 20) KiB, one without a size, one of 1 KiB.
	if got.Records != 42 || got.Bad != 6 || got.KiB != 2*(1<<20-1)+1 {
		t.Errorf("%+v", got)
	}
	want := map[string]group{
		"admin": {10, 2 * 0x11111}, "libs": {11, 2*0x22222 + 1}, "contrib/games": {10, 2 * 0x44444}, "python": {10, 2 * 0x88888}, "none": {1, 0},
	}
	if diff := cmp.Diff(want, got.Sections); diff != "" {
		t.Error(diff)
	}
}

// FuzzParagraphs reads any text, whole and cut: the tally is the same, and within its bounds.
func FuzzParagraphs(f *testing.F) {
	text, err := os.ReadFile(fixture)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text[:2000], uint16(300))
	f.Add([]byte("Package: ab\nVersion: 1\nArchitecture: all\n\n\n x\n\n#: y\n"), uint16(3))
	f.Fuzz(func(t *testing.T, text []byte, size uint16) {
		whole := tallyOf(t, "x", string(text))
		if err := whole.check(); err != nil {
			t.Fatal(err)
		}
		if whole.Records+whole.Bad > int64(bytes.Count(text, []byte("\n")))+1 {
			t.Fatalf("%d and %d of %d lines", whole.Records, whole.Bad, bytes.Count(text, []byte("\n")))
		}
		sum := newTally()
		parts := cut(text, int(size)+1)
		if joined := bytes.Join(parts, nil); !bytes.Equal(joined, text) {
			t.Fatalf("%q of %q", joined, text)
		}
		for _, part := range parts {
			sum.merge(tallyOf(t, "x", string(part)))
		}
		whole.Faults, sum.Faults = nil, nil // their lines are those of a part
		if diff := cmp.Diff(whole, sum); diff != "" {
			t.Fatal(diff)
		}
	})
}
