package publisher

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// maxKey is the length in bytes of the longest Idempotency-Key.
const maxKey = 255

var errOtherRequest = httpio.Problem(http.StatusUnprocessableEntity,
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
		return "", httpio.Problem(http.StatusBadRequest, "the Idempotency-Key is one text of 1 to 255 printable ASCII characters, best a new UUID")
	}
	return key, nil
}

// newID is the id of a job that a request makes. A request with an
// Idempotency-Key makes the same one each time that the same token sends it,
// so that the ledger itself takes the job only once; of are what else makes the
// request another one.
func (p *Publisher) newID(c echo.Context, of ...string) (string, error) {
	key, err := keyOf(c.Request())
	if err != nil || key == "" {
		return jobs.NewID(), err
	}
	return p.secretID(c, append([]string{p.caller(c), key}, of...)...), nil
}

// secretID is derivedID with what only the token's holder and the nodes know:
// whoever knows a job's id may read its result, and a key may be guessed.
func (p *Publisher) secretID(c echo.Context, parts ...string) string {
	return derivedID(append(parts, auth.CallerOf(c).Secret)...)
}

// caller is who sends a request, as far as that stays the same when they send
// it again from another address.
func (p *Publisher) caller(c echo.Context) string { return auth.CallerOf(c).Name }

// errTwice is for a request that comes while one with the same key is under way.
var errTwice = httpio.Problem(http.StatusConflict, "a request with this Idempotency-Key is under way: ask again for its answer in a moment")

// onceTime bounds what is done under an Idempotency-Key when the client has gone.
const onceTime = 30 * time.Second

// once does what a request asks for and answers. Under an Idempotency-Key it is
// done once, and the same request gets the answer of the first time again. do
// returns an error only if it has changed nothing, so an error is not remembered
// and the request may be sent again.
func (p *Publisher) once(c echo.Context, body []byte, do func() (status int, answer any, err error)) error {
	key, err := keyOf(c.Request())
	if err != nil {
		return err
	}
	if key == "" {
		status, answer, err := do()
		if err != nil {
			return err
		}
		return httpio.SendJSON(c, status, answer)
	}
	key = derivedID(p.caller(c), key)
	if _, busy := p.underWay.LoadOrStore(key, true); busy {
		return errTwice
	}
	defer p.underWay.Delete(key)
	// A client that hangs up in the middle must not leave half of it undone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), onceTime)
	defer cancel()
	c.SetRequest(c.Request().WithContext(ctx))
	return p.onceUnder(c, key, digestOf(c.Request(), body), do)
}

func (p *Publisher) onceUnder(c echo.Context, key string, digest []byte, do func() (int, any, error)) error {
	ctx := c.Request().Context()
	before, found, err := p.cfg.Ledger.Replay(ctx, key)
	switch {
	case err != nil:
		return err
	case found && !bytes.Equal(before.Digest, digest):
		return errOtherRequest
	case found:
		return sendReplayed(c, before)
	}
	status, answer, err := do()
	if err != nil {
		return err
	}
	text, err := httpio.Marshal(answer)
	if err != nil {
		return err
	}
	answered := ledger.Replayed{Digest: digest, Status: status, Body: text}
	if err := p.cfg.Ledger.Remember(ctx, key, answered); err != nil {
		p.log.Warn("the answer to a request with an Idempotency-Key could not be kept", "err", err)
	}
	c.Response().Header().Set("Cache-Control", httpio.NoStore)
	return c.Blob(status, httpio.TypeJSON, text)
}

func sendReplayed(c echo.Context, before ledger.Replayed) error {
	c.Response().Header().Set("Cache-Control", httpio.NoStore)
	c.Response().Header().Set("Idempotency-Replayed", "true")
	return c.Blob(before.Status, httpio.TypeJSON, before.Body)
}

// digestOf tells one request from another.
func digestOf(r *http.Request, body []byte) []byte {
	h := sha256.New()
	for _, part := range []string{r.Method, r.URL.Path, httpio.Field(r.Header, "If-Match"), string(body)} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}

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
