package worker

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/runnerbean/runnerbean/internal/logtext"
)

// runMessage is a message on a run tube. It is a hint that a job may be runnable: the
// ledger decides.
type runMessage struct {
	ID      string `json:"id"`
	Program string `json:"program"` // may be empty
}

func readRunMessage(body []byte) (runMessage, error) {
	var m runMessage
	if err := json.Unmarshal(body, &m); err != nil {
		return m, err
	}
	if len(m.ID) != 36 || uuid.Validate(m.ID) != nil {
		return m, fmt.Errorf("%q is not a job id", logtext.Clean(m.ID, 64))
	}
	return m, nil
}
