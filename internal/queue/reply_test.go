package queue

import (
	"bytes"
	"errors"
	"io"
	"net"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/beanstalkd/go-beanstalk"
)

var shapes = []shape{putShape, reserveShape, reserveJobShape, deleteShape, releaseShape, buryShape, touchShape, statsShape, tubesShape, pauseShape, kickShape}

// pattern says the same as a shape, slowly.
func pattern(s shape) *regexp.Regexp {
	p := "^" + s.head
	if s.id {
		p += " ([0-9]+)"
	}
	if s.body {
		p += " ([0-9]+)"
	}
	return regexp.MustCompile(p + "$")
}

func FuzzParse(f *testing.F) {
	seeds := []string{
		"INSERTED 1", "RESERVED 1 2", "OK 5", "OK -5", "RESERVED 1 1073741825", "DELETED", "DELETED 1", "USING t",
		"WATCHING 1", "NOT_FOUND", "OUT_OF_MEMORY", "BURIED", "BURIED 5", "INSERTED 18446744073709551616", "", " ",
	}
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		for _, s := range shapes {
			checkParse(t, s, line)
		}
	})
}

func checkParse(t *testing.T, s shape, line string) {
	t.Helper()
	r, err := s.parse(line)
	if err != nil {
		if !errors.Is(err, ErrReply) && !errors.Is(err, ErrFull) {
			t.Fatalf("%s: %q: %v", s.head, line, err)
		}
		if m := pattern(s).FindStringSubmatch(line); m != nil && plausible(s, m[1:]) {
			t.Fatalf("%s: %q refused: %v", s.head, line, err)
		}
		return
	}
	if r.size > maxJob || r.size < -1 {
		t.Fatalf("%s: %q has size %d", s.head, line, r.size)
	}
	good := pattern(s).MatchString(line)
	notice := s.notice != "" && bytes.HasPrefix([]byte(line), []byte(s.notice+" "))
	if !good && !notice && !slices.Contains(s.words, line) {
		t.Fatalf("%s: %q accepted", s.head, line)
	}
	if good && (r.size >= 0) != s.body {
		t.Fatalf("%s: %q has size %d", s.head, line, r.size)
	}
}

// plausible reports whether the numbers are in range.
func plausible(s shape, numbers []string) bool {
	for i, digits := range numbers {
		n, err := strconv.ParseUint(digits, 10, 64)
		isSize := s.body && i == len(numbers)-1
		if err != nil || isSize && n > maxJob || !isSize && n == 0 && !s.zero {
			return false
		}
	}
	return true
}

// tape is a server that says the same whatever it is asked.
type tape struct {
	net.Conn
	in io.Reader
}

func (t tape) Read(p []byte) (int, error)  { return t.in.Read(p) }
func (tape) Write(p []byte) (int, error)   { return len(p), nil }
func (tape) SetDeadline(_ time.Time) error { return nil }
func (tape) Close() error                  { return nil }

// FuzzReplies lets go-beanstalk read anything through a wire: it must come to
// an end, without a panic, and with nothing in hand that is over the limit.
func FuzzReplies(f *testing.F) {
	for _, op := range operations {
		f.Add([]byte(op.reply))
	}
	f.Add([]byte("WATCHING 1\r\nRESERVED 1 200\r\n" + string(make([]byte, 200)) + "\r\nDELETED\r\n"))
	f.Add([]byte("RESERVED 1 1073741824\r\n"))
	f.Add([]byte("OK -5\r\nx\r\n"))
	const limit = 100
	f.Fuzz(func(t *testing.T, said []byte) {
		for _, op := range operations {
			w := newCheckedConn(tape{in: bytes.NewReader(said)}, limit)
			c := &conn{addr: "tape", server: "fake", wire: w, client: beanstalk.NewConn(w), turn: make(chan struct{}, 1)}
			if op.name != "reserve" {
				_ = op.run(quietly{t}, c)
				continue
			}
			d, err := c.reserve(t.Context(), map[string]bool{"t": true}, 0)
			if (err == nil) != (d != nil) || d != nil && (d.ID == 0 || len(d.Body) > limit || d.Size > maxJob) {
				t.Fatalf("%+v, %v", d, err)
			}
		}
	})
}

// quietly lets an operation be answered with other numbers than its own.
type quietly struct{ testing.TB }

func (quietly) Errorf(string, ...any) {}
