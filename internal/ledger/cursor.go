package ledger

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"math"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// cursor is a place in a listing: the job after which the next page begins.
type cursor struct {
	accepted int64
	id       string
}

// newest is before every job of a listing.
var newest = cursor{accepted: math.MaxInt64}

func (c cursor) before(o cursor) bool {
	return c.accepted > o.accepted || (c.accepted == o.accepted && c.id > o.id)
}

// compare orders places as listings do, the newest first.
func (c cursor) compare(o cursor) int {
	return cmp.Or(cmp.Compare(o.accepted, c.accepted), cmp.Compare(o.id, c.id))
}

// String is the cursor as a caller carries it about.
func (c cursor) String() string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(c.id)), uint64(c.accepted))
	return base64.RawURLEncoding.EncodeToString(append(b, c.id...))
}

// parseCursor reads what String has written; "" is newest. ErrCursor.
func parseCursor(s string) (cursor, error) {
	if s == "" {
		return newest, nil
	}
	if len(s) > base64.RawURLEncoding.EncodedLen(8+engine.MaxID) {
		return cursor{}, ErrCursor
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) <= 8 {
		return cursor{}, ErrCursor
	}
	c := cursor{accepted: int64(binary.BigEndian.Uint64(b)), id: string(b[8:])}
	// The decoder leaves out line ends, so the text is compared as well.
	if c.accepted < 0 || engine.Clean(c.id, engine.MaxID) != c.id || c.String() != s {
		return cursor{}, ErrCursor
	}
	return c, nil
}
