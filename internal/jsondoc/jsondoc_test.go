package jsondoc

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

func TestFieldName(t *testing.T) {
	t.Parallel()
	for pointer, want := range map[string]string{
		"": "the document", "/id": "id", "/input/url": "input.url", "/files/2/url": "files[2].url", "/labels/a~1b~0": `labels["a/b~"]`,
		"/0": "0", "/labels/": `labels[""]`, "/a b": `["a b"]`, "/input/data/\x1b[31m": `input.data["\x1b[31m"]`,
	} {
		if got := FieldName(pointer); got != want {
			t.Errorf("%q is %s, want %s", pointer, got, want)
		}
	}
}

func TestPointers(t *testing.T) {
	t.Parallel()
	if got := Member(Element("/a", 3), "b/c~d"); got != "/a/3/b~1c~0d" || !slices.Equal(Tokens(got), []string{"a", "3", "b/c~d"}) {
		t.Errorf("%s has the parts %q", got, Tokens(got))
	}
	if got := Bounded("/labels/" + strings.Repeat("x", maxPointer)); got != "/labels" {
		t.Errorf("bounded to %s", got)
	}
	if got := Bounded("/" + strings.Repeat("x", maxPointer)); got != "" {
		t.Errorf("bounded to %s", got)
	}
}

// TestExcerptsOfURLsHoldNoSecrets tries texts that are no URLs, too: those are in messages.
func TestExcerptsOfURLsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"https://a/b": `"https://a/b"`, "ftp://user:hunter2@a/b": `"…@a/b"`, "http://user:hun@ter2@[::1": `"…@[::1"`,
		"http://a/b?signature=hunter2": `"http://a/b?…"`, "a?b@c": `"a?…"`, "http://a/#hunter2": `"http://a/#…"`, "": `""`,
	} {
		if got := ExcerptURL(s); got != want {
			t.Errorf("%q is shown as %s, want %s", s, got, want)
		}
	}
}

func FuzzExcerpt(f *testing.F) {
	f.Add("\xff\x00é")
	f.Add(strings.Repeat("é", maxExcerpt))
	f.Fuzz(func(t *testing.T, s string) {
		for _, got := range []string{Excerpt(s), ExcerptURL(s), FieldName("/" + s)} {
			if !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\n\x1b") {
				t.Errorf("%q is shown as %q", s, got)
			}
		}
	})
}

func TestDepth(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		`1`: 0, `"[{"`: 0, `[]`: 1, `{"a":[1,{"b":"]\"}"}],"c":{}}`: 3, strings.Repeat("[", 70) + strings.Repeat("]", 70): 70, `"`: 0, `["\`: 1,
	} {
		if got := Depth([]byte(text)); got != want {
			t.Errorf("%s is %d deep, want %d", text, got, want)
		}
	}
}

// FuzzDepth compares with a decoder.
func FuzzDepth(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":"]\\\"}"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		dec := jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
		want := 0
		for {
			_, err := dec.ReadToken()
			if err != nil && err != io.EOF {
				return // not JSON
			}
			if want = max(want, dec.StackDepth()); err == io.EOF {
				break
			}
		}
		if got := Depth(text); got != want {
			t.Errorf("%s is %d deep, want %d", text, got, want)
		}
	})
}
