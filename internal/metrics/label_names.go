package metrics

import (
	"strings"
	"sync"
)

const (
	// maxPrograms is the largest number of programs with a label of their own.
	maxPrograms = 200
	// maxCounters is the largest number of counters of programs with a label of their own.
	maxCounters = 500
	// other is the label of all other values.
	other = "other"
)

// names bounds the number of values of a label. The first values get a label of their
// own.
type names struct {
	most int
	mu   sync.RWMutex
	seen map[string]string
}

func newNames(most int) *names { return &names{most: most, seen: map[string]string{}} }

// label returns name as a valid label, or "other" if the limit is reached.
func (n *names) label(name string) string {
	n.mu.RLock()
	label, known := n.seen[name]
	n.mu.RUnlock()
	if known {
		return label
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if label, known := n.seen[name]; known {
		return label
	}
	if len(n.seen) >= n.most {
		return other
	}
	label = strings.ToValidUTF8(name, "�")
	n.seen[name] = label
	return label
}
