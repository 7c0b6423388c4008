package queue

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxLine is over the length of the longest line that beanstalkd sends: USING with a
	// name of 200 bytes.
	maxLine = 256
	// maxJob is the largest value of beanstalkd's option -z, in bytes.
	maxJob = 1 << 30
	// maxStats is over the length of any answer to stats, stats-job and stats-tube, in
	// bytes.
	maxStats = 64 << 10
	// maxTubes is enough for 20,000 tubes with the longest names, in bytes.
	maxTubes = 4 << 20
)

// shape describes the replies that a command may get, from beanstalkd's doc/protocol.txt.
// The checks are needed because go-beanstalk takes the last number of any line for the
// size of a body, and accepts the number of a truncated "INSERTED 12".
type shape struct {
	// head is the first word of the success reply.
	head string
	// id means that a job number follows, zero that the number may be 0, and body that a
	// size and that many bytes follow.
	id, zero, body bool
	// most is the largest size of a body that is not a job, in bytes.
	most int
	// notice is the first word of replies that may precede it. They answer the use, watch
	// and ignore commands that go-beanstalk sends first.
	notice string
	// words are the other replies after which the connection is still usable.
	words []string
}

var (
	putShape = shape{head: "INSERTED", id: true, notice: "USING", words: []string{"JOB_TOO_BIG", "DRAINING", "INTERNAL_ERROR"}}
	// DEADLINE_SOON comes only to a connection that holds a job.
	reserveShape = shape{head: "RESERVED", id: true, body: true, notice: "WATCHING", words: []string{"TIMED_OUT", "DEADLINE_SOON"}}
	// A server before 1.12 does not know the command.
	reserveJobShape = shape{head: "RESERVED", id: true, body: true, words: []string{"NOT_FOUND", "UNKNOWN_COMMAND"}}
	peekShape       = shape{head: "FOUND", id: true, body: true, words: []string{"NOT_FOUND", "OUT_OF_MEMORY"}}
	peekTubeShape   = shape{head: "FOUND", id: true, body: true, notice: "USING", words: []string{"NOT_FOUND", "OUT_OF_MEMORY"}}
	deleteShape     = shape{head: "DELETED", words: []string{"NOT_FOUND", "INTERNAL_ERROR"}}
	releaseShape    = shape{head: "RELEASED", words: []string{"NOT_FOUND", "INTERNAL_ERROR", "BURIED"}}
	buryShape       = shape{head: "BURIED", words: []string{"NOT_FOUND", "INTERNAL_ERROR"}}
	touchShape      = shape{head: "TOUCHED", words: []string{"NOT_FOUND", "INTERNAL_ERROR"}}
	tubesShape      = shape{head: "OK", body: true, most: maxTubes, words: []string{"INTERNAL_ERROR", "OUT_OF_MEMORY"}}
	pauseShape      = shape{head: "PAUSED", words: []string{"NOT_FOUND", "INTERNAL_ERROR"}}
	kickShape       = shape{head: "KICKED", id: true, zero: true, notice: "USING", words: []string{"INTERNAL_ERROR"}}
	statsShape      = shape{head: "OK", body: true, most: maxStats, words: []string{"NOT_FOUND", "INTERNAL_ERROR", "OUT_OF_MEMORY"}}
)

// reply is a parsed line.
type reply struct {
	notice bool
	id     uint64
	size   int // of the body that follows, or -1 if none follows
}

// parse parses a line without its line end. The error wraps ErrReply, or ErrFull if the
// server has no memory left.
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
		// This may be the answer to a use or watch before the command, so the connection
		// is not usable afterwards.
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

// number cuts a decimal number and the space after it from the front of s.
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
