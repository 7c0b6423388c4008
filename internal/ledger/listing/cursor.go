package listing

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// ErrCursor is returned for a cursor that no page has returned.
var ErrCursor = errors.New("not a cursor of this list")

// Cursor is a place in a list: the next page begins after this job.
type Cursor struct {
	Accepted int64 // in microseconds
	ID       string
}

// Newest is before every job of a list.
var Newest = Cursor{Accepted: math.MaxInt64}

func (c Cursor) Before(o Cursor) bool {
	return c.Accepted > o.Accepted || (c.Accepted == o.Accepted && c.ID > o.ID)
}

// Compare orders places as lists do, newest first.
func (c Cursor) Compare(o Cursor) int {
	return cmp.Or(cmp.Compare(o.Accepted, c.Accepted), cmp.Compare(o.ID, c.ID))
}

// String returns the cursor as text for callers.
func (c Cursor) String() string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(c.ID)), uint64(c.Accepted))
	return base64.RawURLEncoding.EncodeToString(append(b, c.ID...))
}

// ParseCursor reads the text of String. "" is Newest. ErrCursor.
func ParseCursor(s string) (Cursor, error) {
	if s == "" {
		return Newest, nil
	}
	if len(s) > base64.RawURLEncoding.EncodedLen(8+engine.MaxID) {
		return Cursor{}, ErrCursor
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) <= 8 {
		return Cursor{}, ErrCursor
	}
	c := Cursor{Accepted: int64(binary.BigEndian.Uint64(b)), ID: string(b[8:])}
	// The decoder ignores line ends, so the text is compared too.
	if c.Accepted < 0 || engine.Clean(c.ID, engine.MaxID) != c.ID || c.String() != s {
		return Cursor{}, ErrCursor
	}
	return c, nil
}
