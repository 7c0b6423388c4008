package counted

import (
	"fmt"
	"strings"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// maxChunks is how many chunks of a job a page lists.
	maxChunks = 50
	// maxAttempts is how many attempts are named for one chunk.
	maxAttempts = 20
)

// Chunks are the chunks of a job on its page.
type Chunks struct {
	Rows []Chunk
	More string // says how many are not listed; empty for none
}

// Chunk is one chunk, with the attempts that worked on it.
type Chunk struct {
	ID, Of, Attempts string
	Began            text.Piece
}

// NewChunks returns the view of the chunks of a job; nil if it has none.
func NewChunks(list []api.Chunk) *Chunks {
	if len(list) == 0 {
		return nil
	}
	v := &Chunks{}
	for _, c := range list[:min(len(list), maxChunks)] {
		v.Rows = append(v.Rows, Chunk{
			ID: text.Line(c.ID, text.NameLimit), Of: text.Line(c.Of, text.NameLimit),
			Attempts: attempts(c.Attempts), Began: text.Moment(c.Began),
		})
	}
	if more := len(list) - maxChunks; more > 0 {
		v.More = fmt.Sprintf("%s earlier ones are not listed.", text.Grouped(more))
	}
	return v
}

func attempts(list []int) string {
	words := make([]string, 0, len(list))
	for _, n := range list[max(0, len(list)-maxAttempts):] {
		words = append(words, fmt.Sprint(n))
	}
	if len(list) > maxAttempts {
		words = append([]string{"…"}, words...)
	}
	return strings.Join(words, ", ")
}

// ChunkWords returns what a running program works on: "chunk packages-17 of 40"; empty for nil.
func ChunkWords(c *jobs.Chunk) string {
	switch {
	case c == nil:
		return ""
	case c.Of == "":
		return "chunk " + text.Line(c.ID, text.NameLimit)
	}
	return "chunk " + text.Line(c.ID, text.NameLimit) + " of " + text.Line(c.Of, text.NameLimit)
}
