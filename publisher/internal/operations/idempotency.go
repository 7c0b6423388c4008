package operations

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

var (
	errOtherRequest = httpio.Problem(http.StatusUnprocessableEntity,
		"this Idempotency-Key was used for another request: send each new request with a new key")
	errUnderWay = httpio.Problem(http.StatusConflict, "a request with this Idempotency-Key is under way: ask again for its answer in a moment")
)

// onceTimeout bounds what is done under an idempotency key when the client has gone.
const onceTimeout = 30 * time.Second

// Request is a request that may be sent again under the same key.
type Request struct {
	Caller                auth.Caller
	Key                   string // the Idempotency-Key; may be empty
	Method, Path, IfMatch string
	Body                  []byte
}

// Answer is the answer to a request.
type Answer struct {
	Status   int
	Body     []byte
	Replayed bool // it is the answer of an earlier request with the same key
}

// Once calls do and returns its answer. Under an idempotency key do is called once, and
// the same request gets the first answer again. do returns an error only if it has
// changed nothing: errors are not remembered, and the request may be sent again.
func (o *Operations) Once(ctx context.Context, r Request, do func(context.Context) (status int, answer any, err error)) (Answer, error) {
	if r.Key == "" {
		return answerTo(ctx, do)
	}
	key := derivedID(r.Caller.Name, r.Key)
	if _, busy := o.underWay.LoadOrStore(key, true); busy {
		return Answer{}, errUnderWay
	}
	defer o.underWay.Delete(key)
	// A client that hangs up in the middle must not leave half of it undone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), onceTimeout)
	defer cancel()
	digest := r.digest()
	before, found, err := o.cfg.Replays.Replay(ctx, key)
	switch {
	case err != nil:
		return Answer{}, err
	case found && !bytes.Equal(before.Digest, digest):
		return Answer{}, errOtherRequest
	case found:
		return Answer{Status: before.Status, Body: before.Body, Replayed: true}, nil
	}
	answer, err := answerTo(ctx, do)
	if err != nil {
		return answer, err
	}
	if err := o.cfg.Replays.Remember(ctx, key, outbox.Replayed{Digest: digest, Status: answer.Status, Body: answer.Body}); err != nil {
		o.cfg.Logger.Warn("the answer to a request with an Idempotency-Key could not be kept", "err", err)
	}
	return answer, nil
}

func answerTo(ctx context.Context, do func(context.Context) (int, any, error)) (Answer, error) {
	status, answer, err := do(ctx)
	if err != nil {
		return Answer{}, err
	}
	body, err := httpio.Marshal(answer)
	return Answer{Status: status, Body: body}, err
}

// digest returns a hash that differs between different requests.
func (r Request) digest() []byte { return hashOf(r.Method, r.Path, r.IfMatch, string(r.Body)) }

// NewJobID returns the id of a job that a request makes. Under an idempotency key it is
// the same each time that the same token sends it, so that the ledger takes the job
// once. of are what else makes it another request.
func NewJobID(caller auth.Caller, key string, of ...string) string {
	if key == "" {
		return jobs.NewID()
	}
	return SecretID(caller, append([]string{caller.Name, key}, of...)...)
}

// SecretID derives an id from texts and from the hash of the caller's token: an id
// gives access to a result, and a key may be guessed.
func SecretID(caller auth.Caller, parts ...string) string {
	return derivedID(append(parts, caller.Secret)...)
}

// derivedID makes a UUID of version 4 out of texts.
func derivedID(parts ...string) string {
	id := uuid.UUID(hashOf(parts...)[:16])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id.String()
}

// hashOf hashes each text with its length, so that no two lists have the same hash.
func hashOf(parts ...string) []byte {
	h := sha256.New()
	for _, part := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}
