package testbed

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// deletionTracker follows beanstalkd's protocol on one connection to find out
// which jobs' messages are deleted. It skips bodies, learns from RESERVED which
// message belongs to which job, and reports "delete".
type deletionTracker struct {
	questions, answers splitter
	message            uint64            // whose body follows; 0 for none
	jobs               map[uint64]string // by message reserved from a run tube
}

func newDeletionTracker() *deletionTracker { return &deletionTracker{jobs: map[uint64]string{}} }

// splitter cuts the bytes of one direction into lines and bodies.
type splitter struct {
	line []byte
	body []byte
	rest int // bytes of the body that are missing, its line end included
}

const longestLine = 1 << 10 // longer than any of the protocol

// feed takes bytes. It calls line for each whole line, which returns the length
// of the body that follows, and body for each whole body.
func (l *splitter) feed(text []byte, line func(words []string) (body int), body func([]byte)) {
	for len(text) > 0 {
		if l.rest > 0 {
			n := min(l.rest, len(text))
			l.body = append(l.body, text[:n]...)
			l.rest -= n
			text = text[n:]
			if l.rest == 0 {
				body(bytes.TrimSuffix(l.body, []byte("\r\n")))
				l.body = l.body[:0]
			}
			continue
		}
		head, tail, whole := bytes.Cut(text, []byte("\n"))
		l.line = append(l.line, head...)
		text = tail
		if len(l.line) > longestLine {
			l.line = l.line[:longestLine]
		}
		if whole {
			l.rest = line(strings.Fields(string(l.line)))
			l.line = l.line[:0]
		}
	}
}

// sent reads what a client sends, and returns the deletions that it asks for.
func (t *deletionTracker) sent(text []byte) (deleted []check.Event) {
	t.questions.feed(text, func(words []string) int {
		if len(words) == 5 && words[0] == "put" {
			return bodyOf(words[4])
		}
		if len(words) == 2 && words[0] == "delete" {
			id, _ := strconv.ParseUint(words[1], 10, 64) // no message has the number 0
			if job, ok := t.jobs[id]; ok {
				deleted = append(deleted, check.Event{What: check.Deleted, Job: job, N: float64(id)})
			}
		}
		return 0
	}, func([]byte) {})
	return deleted
}

// received reads what the server sends.
func (t *deletionTracker) received(text []byte) []check.Event {
	t.answers.feed(text, func(words []string) int {
		t.message = 0
		switch {
		case len(words) == 3 && words[0] == "RESERVED":
			t.message, _ = strconv.ParseUint(words[1], 10, 64) // no message has the number 0
			return bodyOf(words[2])
		case len(words) == 2 && words[0] == "OK":
			return bodyOf(words[1])
		}
		return 0
	}, t.content)
	return nil
}

// content reads the body of an answer. A document of the inbox has a member
// "result" and is ignored: it is deleted when the ledger has it.
func (t *deletionTracker) content(body []byte) {
	var hint struct {
		ID     string          `json:"id"`
		Result json.RawMessage `json:"result"`
	}
	if t.message > 0 && json.Unmarshal(body, &hint) == nil && hint.Result == nil && hint.ID != "" {
		t.jobs[t.message] = hint.ID
	}
}

// bodyOf returns the length of a body with its line end.
func bodyOf(word string) int {
	n, err := strconv.Atoi(word)
	if err != nil || n < 0 || n > maxAnswer {
		return 0
	}
	return n + 2
}
