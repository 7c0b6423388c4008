package queue

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxLine is more than the longest line that beanstalkd sends, USING with a
	// name of 200 bytes.
	maxLine = 256
	// maxJob is the largest job that beanstalkd can be told to take (its -z).
	maxJob = 1 << 30
	// maxStats is more than any answer to stats, stats-job or stats-tube.
	maxStats = 64 << 10
	// maxTubes is for 20,000 tubes with the longest names.
	maxTubes = 4 << 20
)

// A shape says which replies a command may get. go-beanstalk takes the last
// number of any line for the size of a body, and reads "INSERTED 12" out of a
// line cut short, so nothing else than these may reach it.
type shape struct {
	// head is the first word of the good reply.
	head string
	// id: a job's number follows, or one that may be zero; body: a size follows,
	// and that many bytes.
	id, zero, body bool
	// most is how long a body may be that is not a job.
	most int
	// notice is the first word of replies that may come before, to the use,
	// watch and ignore commands that go-beanstalk puts in front.
	notice string
	// words are what the server may say instead, and still be in step.
	words []string
}

var (
	putShape = shape{head: "INSERTED", id: true, notice: "USING", words: []string{"JOB_TOO_BIG", "DRAINING", "INTERNAL_ERROR"}}
	// DEADLINE_SOON comes only to a connection that holds a job.
	reserveShape = shape{head: "RESERVED", id: true, body: true, notice: "WATCHING", words: []string{"TIMED_OUT", "DEADLINE_SOON"}}
	// A server before 1.12 does not know the command.
	reserveJobShape = shape{head: "RESERVED", id: true, body: true, words: []string{"NOT_FOUND", "UNKNOWN_COMMAND"}}
	peekShape       = shape{head: "FOUND", id: true, body: true, words: []string{"NOT_FOUND", "OUT_OF_MEMORY"}}
	deleteShape     = shape{head: "DELETED", words: []string{"NOT_FOUND", "INTERNAL_ERROR"}}
	releaseShape    = shape{head: "RELEASED", words: []string{"NOT_FOUND", "INTERNAL_ERROR", "BURIED"}}
	buryShape       = shape{head: "BURIED", words: []string{"NOT_FOUND", "INTERNAL_ERROR"}}
	touchShape      = shape{head: "TOUCHED", words: []string{"NOT_FOUND", "INTERNAL_ERROR"}}
	tubesShape      = shape{head: "OK", body: true, most: maxTubes, words: []string{"INTERNAL_ERROR", "OUT_OF_MEMORY"}}
	pauseShape      = shape{head: "PAUSED", words: []string{"NOT_FOUND", "INTERNAL_ERROR"}}
	kickShape       = shape{head: "KICKED", id: true, zero: true, notice: "USING", words: []string{"INTERNAL_ERROR"}}
	statsShape      = shape{head: "OK", body: true, most: maxStats, words: []string{"NOT_FOUND", "INTERNAL_ERROR", "OUT_OF_MEMORY"}}
)

// reply is what a line was found to be.
type reply struct {
	notice bool
	id     uint64
	size   int // of the body that follows; -1 where none does
}

// parse checks a line, without its end. The error wraps ErrReply, or ErrFull
// where the server says that it has no room.
func (s shape) parse(line string) (reply, error) {
	word, rest, more := strings.Cut(line, " ")
	switch {
	case s.notice != "" && word == s.notice && more:
		return reply{notice: true, size: -1}, nil
	case word == s.head:
		return s.parseNumbers(line, rest, more)
	case slices.Contains(s.words, line):
		return reply{size: -1}, nil
	case line == "OUT_OF_MEMORY", word == "BURIED" && s.head == "INSERTED":
		// It may have been the answer to the use or watch before the command,
		// so the connection must not be used again.
		return reply{}, fmt.Errorf("%w: %q", ErrFull, line)
	}
	return reply{}, badReply(line)
}

func (s shape) parseNumbers(line, rest string, more bool) (reply, error) {
	r := reply{size: -1}
	var ok bool
	if s.id {
		if r.id, rest, more, ok = number(rest, more); !ok || r.id == 0 && !s.zero {
			return reply{}, badReply(line)
		}
	}
	if s.body {
		var n uint64
		if n, rest, more, ok = number(rest, more); !ok || n > maxJob {
			return reply{}, badReply(line)
		}
		r.size = int(n)
	}
	if more || rest != "" {
		return reply{}, badReply(line)
	}
	return r, nil
}

// number takes the digits up to a space or the end off the front of s.
func number(s string, more bool) (n uint64, rest string, moreAfter, ok bool) {
	if !more {
		return 0, "", false, false
	}
	digits, rest, moreAfter := strings.Cut(s, " ")
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, rest, moreAfter, err == nil
}

func badReply(line string) error {
	return fmt.Errorf("%w: %q", ErrReply, line[:min(len(line), 64)])
}

var lineEnd = []byte("\r\n")
