package strictjson

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestAppendValue(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		" { \"a\" : [ 1 , 2 ] }\n": `{"a":[1,2]}`,
		`"\u00e9\/ "`:              `"\u00e9\/ "`,
		"1.50e+3":                  "1.50e+3",
		"\xef\xbb\xbf1":            "",
		"":                         "",
		"[1]]":                     "",
		`{"a":1}{"b":2}`:           "",
		"Infinity":                 "",
		"\x00":                     "",
		`"\ud800"`:                 "",
	} {
		got, err := AppendValue([]byte("x"), []byte(in))
		if (err == nil) != (want != "") || err == nil && string(got) != "x"+want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
		if err != nil && string(got) != "x" {
			t.Errorf("%q: something was appended: %q", in, got)
		}
	}
}

// TestBoundsOfValues has values for which the decoder would take too much memory or
// time.
func TestBoundsOfValues(t *testing.T) {
	t.Parallel()
	var members strings.Builder
	for i := range maxMembers {
		fmt.Fprintf(&members, `"%x":{"x":1},`, i)
	}
	for _, value := range []string{"{" + members.String() + `"":1}`, `[{"a":{` + members.String() + `"":1}}]`} {
		if _, err := AppendValue(nil, []byte(value)); !errors.Is(err, errMembers) {
			t.Errorf("at once: %v", err)
		}
		if err := CheckValue(t.Context(), strings.NewReader(value)); !errors.Is(err, errMembers) {
			t.Errorf("as a stream: %v", err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(io.ErrClosedPipe)
	if err := CheckValue(ctx, strings.NewReader("[1]")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("after its context: %v", err)
	}
}

// FuzzOutput checks that accepted values are valid JSON and keep their meaning, and
// that both ways to check agree.
func FuzzOutput(f *testing.F) {
	for _, seed := range []string{"", "1", `{"a":[1,2.5e7,"\u00e9",null,true]}`, "{}{}", `{"a":1,"a":2}`, "[[[]]]", "\"\xff\"", " nan "} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := AppendValue(nil, data)
		if stream := CheckValue(t.Context(), bytes.NewReader(data)); (stream == nil) != (err == nil) {
			t.Fatalf("at once: %v, as a stream: %v", err, stream)
		}
		if err != nil {
			return
		}
		var before, after any
		if json.Unmarshal(data, &before) != nil || json.Unmarshal(out, &after) != nil {
			return // numbers that no float64 can hold
		}
		if a, b := mustMarshal(before), mustMarshal(after); a != b {
			t.Fatalf("%s became %s", a, b)
		}
		if again, err := AppendValue(nil, out); err != nil || !bytes.Equal(again, out) {
			t.Fatalf("%s became %s, %v", out, again, err)
		}
	})
}

func mustMarshal(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}
