package publisher

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/jobs"
)

// maxKey is the length in bytes of the longest Idempotency-Key.
const maxKey = 255

var errOtherRequest = problem(http.StatusUnprocessableEntity,
	"this Idempotency-Key was used for another request: send each new request with a new key")

// keyOf is the Idempotency-Key of a request; empty where it has none.
func keyOf(r *http.Request) (string, error) {
	lines := r.Header.Values("Idempotency-Key")
	if len(lines) == 0 {
		return "", nil
	}
	key := lines[0]
	ok := len(lines) == 1 && key != "" && len(key) <= maxKey
	for i := range len(key) {
		ok = ok && key[i] >= ' ' && key[i] <= '~'
	}
	if !ok {
		return "", problem(http.StatusBadRequest, "the Idempotency-Key is one text of 1 to 255 printable ASCII characters, best a new UUID")
	}
	return key, nil
}

// newID is the id of a job that a request makes. A request with an
// Idempotency-Key makes the same one each time that the same caller sends it,
// so that the ledger itself takes the job only once; of are what else makes the
// request another one.
func (p *Publisher) newID(c echo.Context, of ...string) (string, error) {
	key, err := keyOf(c.Request())
	if err != nil || key == "" {
		return jobs.NewID(), err
	}
	return derivedID(append([]string{p.caller(c), key}, of...)...), nil
}

// caller is who sends a request, as far as that stays the same when they send
// it again from another address.
func (p *Publisher) caller(echo.Context) string { return "" }

// derivedID makes a UUID of version 4 out of texts.
func derivedID(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part)))) // so that no two lists look the same
		h.Write([]byte(part))
	}
	id := uuid.UUID(h.Sum(nil)[:16])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id.String()
}
