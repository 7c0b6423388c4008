package jobs

import (
	"errors"
	"time"
)

// Complete fills in id, result.url (base + "/" + id) and created where a
// document has none and leaves the rest as it is, byte for byte. It does not
// validate: [Decode] does. A text that is not a JSON object is a [*Fault].
func Complete(data []byte, base string, now time.Time) ([]byte, error) {
	return nil, errors.New("jobs: Complete is not built yet")
}
