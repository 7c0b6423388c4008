package logtext

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestRender(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ log, want string }{
		"plain":                {"one\ntwo\n", "one\ntwo\n"},
		"nothing":              {"", ""},
		"CR LF":                {"one\r\ntwo\r\n\r\n", "one\ntwo\n\n"},
		"CR CR LF":             {"one\r\r\ntwo", "one\ntwo"},
		"POV-Ray":              {"Parsing\r\nRendered 9 of 20 pixels (45%)\rRendered 20 of 20 pixels (100%)\r\nDone\n", "Parsing\nRendered 20 of 20 pixels (100%)\nDone\n"},
		"only CR":              {"1 %\r2 %\r3 %", "3 %"},
		"CR at the end":        {"1 %\r2 %\r", "2 %"},
		"CR at the beginning":  {"\r1 %\r2 %\n", "2 %\n"},
		"cleared with blanks":  {"50 %\r    \r", "    "},
		"erased":               {"50 %\r\x1b[K\ndone", "\ndone"},
		"erased, then written": {"50 %\x1b[2K\rdone", "done"},
		"erased to the end":    {"50 %\x1b[K", "50 %"},
		"spinner":              {"Loading |\b/\b-\bdone", "Loading done"},
		"backspace too far":    {"a\b\b\bb", "b"},
		"backspace, ünïcode":   {"ü\bx", "x"},
		"several characters":   {"ä 1\rö 2\rü 3\n", "ü 3\n"},
		"colours":              {"\x1b[1;32mok\x1b[0m fine", "ok fine"},
		"title":                {"\x1b]0;evil\x07seen\x1b]8;;http://x\x1b\\link", "seenlink"},
		"open title":           {"\x1b]0;never ends\nnext", "\nnext"},
		"Latin-1":              {"M\xfcnchen\n", `M\xfcnchen` + "\n"},
		"half a character":     {"\xa4hnlich \xc3", `\xa4hnlich \xc3`},
		"real U+FFFD":          {"\uFFFD", "\uFFFD"},
		"NUL and tab stay":     {"a\x00\tb\r\n", "a\x00\tb\n"},
	} {
		if got := Render(test.log); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	for log, want := range map[string]string{
		"":                          "",
		"\r\n \n":                   "",
		"one\ntwo\n\n":              "two",
		"1 %\r2 %\rError: no light": "Error: no light",
		"1 %\r2 %\r":                "2 %",
	} {
		if got := Line(log); got != want {
			t.Errorf("Line(%q) = %q, want %q", log, got, want)
		}
	}
}

func TestVisible(t *testing.T) {
	t.Parallel()
	if got := Visible("a\n\t\x1b\u202e\u200d\xff", true); got != "a\n\t\\u{1b}\\u{202e}\u200d\\xff" {
		t.Errorf("%q", got)
	}
	if got := Visible("a\nb", false); got != `a\u{a}b` {
		t.Errorf("%q", got)
	}
}

func FuzzRender(f *testing.F) {
	f.Add("\x1b[31m\x1b]0;x\x07\r\n\xff\u202e\b")
	f.Fuzz(func(t *testing.T, log string) {
		got := Render(log)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\r\b\x1b") {
			t.Errorf("%q became %q", log, got)
		}
		if strings.Count(got, "\n") != strings.Count(log, "\n") {
			t.Errorf("%q lost a line: %q", log, got)
		}
		if again := Render(got); again != got {
			t.Errorf("%q is %q the second time", got, again)
		}
	})
}

func TestCut(t *testing.T) {
	t.Parallel()
	const text = "aäb€c😀d"
	for i := range len(text) + 1 {
		head, tail := Head([]byte(text[:i])), Tail([]byte(text[i:]))
		if !utf8.Valid(head) || !utf8.Valid(tail) || i-len(head) > 3 || len(text)-i-len(tail) > 3 {
			t.Errorf("%d: %q %q", i, head, tail)
		}
		if first := First(text, i); !utf8.ValidString(first) || len(first) > i || i-len(first) > 3 || !strings.HasPrefix(text, first) {
			t.Errorf("First(%d) = %q", i, first)
		}
		if last := Last(text, i); !utf8.ValidString(last) || len(last) > i || i-len(last) > 3 || !strings.HasSuffix(text, last) {
			t.Errorf("Last(%d) = %q", i, last)
		}
	}
	// Bytes that are no UTF-8 are kept, except a few at the cut.
	bad := bytes.Repeat([]byte{0xbf}, 10)
	if len(Head(bad)) < 6 || len(Tail(bad)) < 6 {
		t.Errorf("%q %q", Head(bad), Tail(bad))
	}
}

// stored returns what a program wrote, n bytes, and the log that a node stores of it.
// The kept head and tail are each cut bytes short.
func stored(n int64, cut int) (all, log string) {
	all = strings.Repeat("0123456789abcde\n", int(n)/16+1)[:n]
	if n <= 2*EndSize {
		return all, all
	}
	head, tail := all[:EndSize-cut], all[n-EndSize+int64(cut):]
	return all, head + Gap(n-int64(len(head)+len(tail))) + tail
}

func layout(log string) Kept {
	var window string
	if len(log) > GapOffset {
		window = log[GapOffset:min(len(log), GapOffset+GapSize)]
	}
	return LayoutOf(int64(len(log)), []byte(window))
}

// TestLayout reads a log from many positions, as a follower does. Only the omitted
// bytes may be missing.
func TestLayout(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{0, 1, GapOffset, EndSize, 2 * EndSize, 2*EndSize + 1, 3 * EndSize, 10_000_000} {
		for cut := range 4 {
			all, log := stored(n, cut)
			k := layout(log)
			if k.Total() != n || int64(len(log)) > 2*EndSize && k.Omitted == 0 {
				t.Fatalf("%d bytes, cut %d: %+v", n, cut, k)
			}
			for _, from := range []int64{0, 1, EndSize - 1, EndSize, EndSize + 10, n - EndSize - 1, n - 1, n, n + 1} {
				if from < 0 {
					continue
				}
				position, offset, length := k.Part(from)
				if got, want := log[offset:offset+length], all[position:position+length]; got != want {
					t.Fatalf("%d bytes, from %d: the part at %d is not what was written there", n, from, position)
				}
				if from < n && length == 0 || position > from && position != k.Head+k.Omitted {
					t.Fatalf("%d bytes, from %d: %d bytes at %d", n, from, length, position)
				}
			}
		}
	}
}

// TestLayoutOfImitation checks logs with lines that imitate the gap line.
func TestLayoutOfImitation(t *testing.T) {
	t.Parallel()
	for cut := range 4 {
		all, log := stored(3*EndSize, cut)
		fake := Gap(17)
		for at := EndSize - cut - len(fake); at <= EndSize-cut; at++ {
			end := min(at+len(fake), EndSize-cut)
			forged := log[:at] + fake[:end-at] + log[end:]
			if k := layout(forged); k.Total() != int64(len(all)) {
				t.Errorf("cut %d, imitation at %d: %+v", cut, at, k)
			}
		}
	}
}

func FuzzLayout(f *testing.F) {
	f.Add(int64(3*EndSize), []byte(fmt.Sprintf("abcd%sxyz", Gap(1<<62))), int64(300_000))
	f.Fuzz(func(t *testing.T, size int64, window []byte, from int64) {
		if size < 0 || from < 0 {
			return
		}
		k := LayoutOf(size, window)
		if k.Total() < 0 {
			return // the sum overflowed
		}
		position, offset, length := k.Part(from)
		if position < 0 || offset < 0 || length < 0 || offset+length > size {
			t.Errorf("%+v from %d: %d %d %d", k, from, position, offset, length)
		}
	})
}
