package jobs

import "github.com/google/uuid"

// NewID returns the id of a new job: a UUID of version 7 (RFC 9562), so that ids
// sort by the time at which they were made.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// ValidID reports whether id is a lower-case UUID of version 4 or 7, as the schema
// demands.
func ValidID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i := range len(id) {
		if !validIDByte(i, id[i]) {
			return false
		}
	}
	return true
}

// validIDByte reports whether c may stand at place i of an id.
func validIDByte(i int, c byte) bool {
	switch i {
	case 8, 13, 18, 23:
		return c == '-'
	case 14: // version
		return c == '4' || c == '7'
	case 19: // variant
		return c == '8' || c == '9' || c == 'a' || c == 'b'
	}
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f'
}
