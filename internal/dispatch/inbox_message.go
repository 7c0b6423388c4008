package dispatch

import (
	"errors"
	"fmt"
	"strings"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

// maxDocuments is how many documents one message of an inbox may hold.
const maxDocuments = 256

// inboxMessage is a message of an inbox: one document, or an array of them.
type inboxMessage struct {
	delivery  *queue.Delivery
	documents [][]byte
	// unreadable says why the message as a whole cannot be taken. It has no documents then.
	unreadable error
	// entries are what is to be recorded of the documents, and at is the document of each.
	entries []ledger.Entry
	at      []int
	refused []refusal
}

// refusal is a document that cannot be recorded.
type refusal struct {
	at  int // among the documents of its message
	err error
}

// openMessage splits a message into its documents.
func openMessage(d *queue.Delivery) inboxMessage {
	m := inboxMessage{delivery: d}
	if d.Size > len(d.Body) {
		m.unreadable = fmt.Errorf("it has %d bytes, and a message of the inbox at most %d", d.Size, jobs.MaxDocument)
		return m
	}
	m.documents, m.unreadable = splitDocuments(d.Body)
	return m
}

// splitDocuments returns the elements of an array, or the body itself if it is anything
// else.
func splitDocuments(body []byte) ([][]byte, error) {
	if !jobdoc.IsArray(body) {
		return [][]byte{body}, nil
	}
	documents, fault := jobdoc.Split(body, maxDocuments)
	if fault != nil {
		return nil, errors.New(fault.Message)
	}
	return documents, nil
}

// refuse notes that a document cannot be recorded.
func (m *inboxMessage) refuse(at int, err error) {
	m.refused = append(m.refused, refusal{at, err})
}

// fault returns why a message has to be buried, or nil.
func (m *inboxMessage) fault() error {
	switch {
	case m.unreadable != nil:
		return m.unreadable
	case len(m.refused) == 0:
		return nil
	case len(m.documents) == 1:
		return m.refused[0].err
	}
	const most = 3
	var list []string
	for _, r := range m.refused[:min(len(m.refused), most)] {
		list = append(list, fmt.Sprintf("document %d: %v", r.at+1, r.err))
	}
	if more := len(m.refused) - most; more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%d of its %d documents cannot be recorded, the others are recorded: %s", len(m.refused), len(m.documents), strings.Join(list, "; "))
}

// begin returns the first characters of what cannot be recorded.
func (m *inboxMessage) begin() string {
	text := m.delivery.Body
	if len(m.refused) > 0 {
		text = m.documents[m.refused[0].at]
	}
	return logtext.First(string(text), 64)
}
