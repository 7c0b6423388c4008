package jobview

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/logtext"
)

func TestLogText(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ log, want string }{
		"plain":           {"one\ntwo\n", "one\ntwo"},
		"colours":         {"\x1b[1;32mok\x1b[0m fine", "ok fine"},
		"title":           {"\x1b]0;evil\x07seen\x1b]8;;http://x\x1b\\link", "seenlink"},
		"open title":      {"\x1b]0;never ends\nnext", "\nnext"},
		"written over":    {" 10 %\r 20 %\r 30 %\nnext\r\n", " 30 %\nnext"},
		"charset":         {"\x1b(Bx\x1b=y", "xy"},
		"lone escape":     {"x\x1b", "x"},
		"cut escape":      {"x\x1b[31", "x"},
		"8-bit escape":    {"x\u009b31m", `x\u{9b}31m`},
		"bidi":            {"\u202etxt", `\u{202e}txt`},
		"broken UTF-8":    {"a\xffb", `a\xffb`},
		"tabs and blanks": {"a\tb  c", "a\tb  c"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, logText([]byte(test.log))); diff != "" {
				t.Error(diff)
			}
		})
	}
	long := strings.Repeat("a line of thirty-two characters\n", 5000)
	got := logText([]byte(long))
	if len(got) > MaxLogShown || !strings.HasPrefix(got, "a line of") {
		t.Errorf("%d bytes that begin %.20q", len(got), got)
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ doc, want string }{
		"scalars":      {`{"a":1,"b":"x","c":true,"d":null,"e":""}`, "a=1 b=x c=true"},
		"nested":       {`{"m":{"p_q":{"alpha":0.5},"the_kind":"k"},"z":1234}`, "p q · alpha=0.5 m · the kind=k z=1,234"},
		"short lists":  {`{"a":[48,336],"b":[1,2,3,4,5],"c":[],"d":["x","y"],"e":[[1]],"f":[{}]}`, "a=48, 336 d=x, y"},
		"not a series": {`{"s":{"start":0,"interval_s":60,"unit":"MW","values":[1,2]},"a":1}`, "a=1"},
		"too deep":     {`{"a":{"b":{"c":{"d":{"e":1}}}}}`, ""},
		"no object":    {`[1]`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range figures([]byte(test.doc)).facts {
				got = append(got, f.Name+"="+f.Text)
			}
			if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
	for doc, rest := range map[string]bool{`{"a":1}`: false, `{"a":1,"b":[[1]]}`: true, `{"a":{"b":{}}}`: true, `17`: true} {
		if got := figures([]byte(doc)).rest; got != rest {
			t.Errorf("%s leaves something: %v", doc, got)
		}
	}
}

func FuzzLogText(f *testing.F) {
	f.Add([]byte("\x1b[31m\x1b]0;x\x07\r\n\xff\u202e"))
	f.Fuzz(func(t *testing.T, log []byte) {
		for _, r := range logText(log) {
			if r != '\n' && r != '\t' && logtext.Hidden(r) {
				t.Fatalf("%U came through", r)
			}
		}
	})
}

func FuzzFigures(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":{"c":"x","d":[1,2]},"e":[1,{}]}`))
	f.Fuzz(func(_ *testing.T, doc []byte) { figures(doc) })
}
