package metrics

import (
	"strings"
	"sync"
)

const (
	// maxPrograms is how many programs have a label of their own.
	maxPrograms = 200
	// other is the label of the rest.
	other = "other"
)

// names bounds how many values a label takes: who comes first has one.
type names struct {
	most int
	mu   sync.RWMutex
	seen map[string]string
}

func newNames(most int) *names { return &names{most: most, seen: map[string]string{}} }

// label is name as a label, or "other" where there are too many already.
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
