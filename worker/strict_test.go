package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
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
		got, err := appendValue([]byte("x"), []byte(in))
		if (err == nil) != (want != "") || err == nil && string(got) != "x"+want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
		if err != nil && string(got) != "x" {
			t.Errorf("%q: something was appended: %q", in, got)
		}
	}
}

// TestBoundsOfValues are what the decoder would take memory for, or time without
// end.
func TestBoundsOfValues(t *testing.T) {
	t.Parallel()
	var members strings.Builder
	for i := range maxMembers {
		fmt.Fprintf(&members, `"%x":{"x":1},`, i)
	}
	for _, value := range []string{"{" + members.String() + `"":1}`, `[{"a":{` + members.String() + `"":1}}]`} {
		if _, err := appendValue(nil, []byte(value)); !errors.Is(err, errMembers) {
			t.Errorf("at once: %v", err)
		}
		if err := checkValue(t.Context(), strings.NewReader(value)); !errors.Is(err, errMembers) {
			t.Errorf("as a stream: %v", err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errAsked)
	if err := checkValue(ctx, strings.NewReader("[1]")); !errors.Is(err, errAsked) {
		t.Errorf("after its context: %v", err)
	}
}

// FuzzOutput holds that what is accepted is valid JSON for everybody, that its
// meaning stays, and that both ways to check agree.
func FuzzOutput(f *testing.F) {
	for _, seed := range []string{"", "1", `{"a":[1,2.5e7,"\u00e9",null,true]}`, "{}{}", `{"a":1,"a":2}`, "[[[]]]", "\"\xff\"", " nan "} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := appendValue(nil, data)
		if stream := checkValue(t.Context(), bytes.NewReader(data)); (stream == nil) != (err == nil) {
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
		if again, err := appendValue(nil, out); err != nil || !bytes.Equal(again, out) {
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

// FuzzEvent holds the bounds of what an event may say.
func FuzzEvent(f *testing.F) {
	for _, seed := range []string{`{"progress":0.4,"message":"week 3"}`, `{"counters":{"n":1200}}`, `{"partial":{"x":[1]}}`, `{"checkpoint":true}`, `{"progress":1e999}`, "[]", "{"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := decodeEvent(line)
		if err != nil {
			return
		}
		if p := e.Progress; p != nil && !(*p >= 0 && *p <= 1) {
			t.Errorf("progress is %v", *p)
		}
		if m := e.Message; m != nil && (len(*m) > maxMessage || !utf8.ValidString(*m)) {
			t.Errorf("message is %q", *m)
		}
		if len(e.Counters) > maxCounters || len(e.Partial) > maxPartial || len(e.Partial) > 0 && !json.Valid(e.Partial) {
			t.Errorf("%d counters, partial %s", len(e.Counters), e.Partial)
		}
	})
}

// FuzzManifest holds that what is accepted is within its bounds.
func FuzzManifest(f *testing.F) {
	for _, seed := range []string{`{}`, `{"description":"d","timeout":"1m","attempts":2,"environment":["A"],"input":{"type":"object"},"deterministic":true}`, `{"timeout":"-1s"}`, `{"environment":["RUNNERBEAN_TOKEN"]}`, `{"stall":"15m","memory":"512MiB","scratch":1073741824}`, `{"input":{"$ref":"#"}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodeManifest(data)
		if err != nil {
			return
		}
		if m.Timeout < 0 || m.Attempts < 0 || m.Memory < 0 || m.Scratch < 0 || m.Stall != nil && *m.Stall < 0 {
			t.Errorf("accepted %+v", m)
		}
		for _, name := range m.Environment {
			if strings.HasPrefix(name, "RUNNERBEAN_") || strings.ContainsAny(name, "= \x00") {
				t.Errorf("accepted the variable %q", name)
			}
		}
		for _, schema := range []error{m.input.Check(t.Context(), []byte("{}")), m.result.Check(t.Context(), []byte("1"))} {
			_ = schema // must not panic
		}
	})
}

// FuzzHint reads messages that anybody may have put.
func FuzzHint(f *testing.F) {
	f.Add([]byte(`{"id":"0190163d-8694-739b-aea5-966c26f8ad91","program":"p"}`))
	f.Add([]byte("\x00\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if h, err := readHint(body); err == nil && len(h.ID) != 36 {
			t.Errorf("id is %q", h.ID)
		}
	})
}

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a\x00b\x1b[31mc\nd\te": "abc\nd\te",
		"\xff":                  `\xff`,
		"10 %\r20 %\r\nend":     "20 %\nend",
		strings.Repeat("ä", 10): "ääää…",
	} {
		if got := clean(in, 12); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}
