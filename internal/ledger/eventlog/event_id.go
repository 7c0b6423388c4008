package eventlog

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

var qNewestEvent = engine.NewQuery("SELECT id FROM events ORDER BY id DESC LIMIT 1")

// nextEventID returns a UUIDv7 that sorts after the newest one, even if the clock was
// set back. A reader that continues after an id thus misses nothing.
func nextEventID(newest string, at time.Time) string {
	id := uuid.New()
	place := uint64(max(0, at.UnixMilli())) << 12
	if last, err := uuid.Parse(newest); err == nil && last.Version() == 7 {
		place = max(place, placeOf(last)+1)
	}
	binary.BigEndian.PutUint64(id[:8], place<<4&^0xffff|0x7000|place&0xfff)
	return id.String()
}

// placeOf returns the 60 bits of a UUIDv7 before the random ones.
func placeOf(id uuid.UUID) uint64 {
	v := binary.BigEndian.Uint64(id[:8])
	return v>>16<<12 | v&0xfff
}
