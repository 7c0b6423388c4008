package engine

import (
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/logtext"
)

// Bounds of columns, in bytes. Longer values are cut or refused.

const (
	MaxID      = 64
	MaxName    = 200
	MaxMessage = 1 << 10
	MaxReason  = 4 << 10
	MaxURL     = 2 << 10
)

// Micros returns t as the tables store it: microseconds, 0 for the zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func FromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func Microseconds(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

// Trunc returns t as it comes back from the tables.
func Trunc(t time.Time) time.Time { return FromMicros(Micros(t)) }

// Clean makes text fit for a column: at most limit bytes of UTF-8 without NUL.
func Clean(s string, limit int) string {
	return strings.ReplaceAll(strings.ToValidUTF8(logtext.First(s, limit), "?"), "\x00", "?")
}

// Earlier returns the earlier of two times. Zero means none.
func Earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func Bool(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// NotNil returns b, or an empty slice for nil, for columns that are NOT NULL.
func NotNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Later returns the later of two times.
func Later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
