package worker

import (
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"strings"
)

// A W3C trace context. Versions to come may have more after the flags, and are
// answered in the version that we know.
var traceparent = regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$`)

// span is one run of a program in the trace of its job.
type span struct {
	id     string // 16 hexadecimal digits; empty where there is no trace
	parent string // traceparent, as the program is told of it
}

// newSpan makes a span under a traceparent; none where that is not one.
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
