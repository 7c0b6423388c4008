package worker

import (
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"strings"
)

// traceparent matches a W3C trace context. Later versions may have more after the flags;
// the answer is in version 00.
var traceparent = regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$`)

// span is the run of a program in the trace of its job.
type span struct {
	id     string // 16 hexadecimal digits; empty without a trace
	parent string // the traceparent for the program
}

// newSpan returns a span below a traceparent, or an empty one if that is not valid.
func newSpan(under string) span {
	m := traceparent.FindStringSubmatch(under)
	if m == nil || m[1] == "ff" || m[1] == "00" && m[5] != "" || zeros(m[2]) || zeros(m[3]) {
		return span{}
	}
	var id [8]byte
	for id == [8]byte{} {
		_, _ = rand.Read(id[:]) // it never fails
	}
	s := span{id: hex.EncodeToString(id[:])}
	s.parent = "00-" + m[2] + "-" + s.id + "-" + m[4]
	return s
}

func zeros(s string) bool { return strings.Trim(s, "0") == "" }
