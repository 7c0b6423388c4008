package eventlog

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

var qNewestEvent = engine.NewQuery("SELECT id FROM events ORDER BY id DESC LIMIT 1")

// nextEventID makes a UUID of version 7 that sorts after the newest one, also
// where the clock has been set back: who reads on after an id misses nothing.
func nextEventID(newest string, at time.Time) string {
	id := uuid.New()
	place := uint64(max(0, at.UnixMilli())) << 12
	if last, err := uuid.Parse(newest); err == nil && last.Version() == 7 {
		place = max(place, placeOf(last)+1)
	}
	binary.BigEndian.PutUint64(id[:8], place<<4&^0xffff|0x7000|place&0xfff)
	return id.String()
}

// placeOf is the 60 bits of a version 7 that come before the random ones: the
// milliseconds and twelve more.
func placeOf(id uuid.UUID) uint64 {
	v := binary.BigEndian.Uint64(id[:8])
	return v>>16<<12 | v&0xfff
}
