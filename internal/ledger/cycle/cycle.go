// Package cycle looks for jobs that wait for one another in a circle.
package cycle

import (
	"fmt"
	"slices"
	"strings"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const (
	// maxVisited is the largest number of jobs that a search visits.
	maxVisited = 10_000
	// maxShown is the largest number of jobs of a cycle that Find names.
	maxShown = 8
)

var qNeedsOf = engine.NewQuery("SELECT need FROM needs WHERE job = ?")

// Find follows the open needs of a new job that other jobs need already. It returns what is
// wrong if they lead back to the job, with the way there, or "".
func Find(t engine.Tx, job string) (string, error) {
	neededBy, work := map[string]string{}, []string{job}
	for len(work) > 0 {
		last := work[len(work)-1]
		work = work[:len(work)-1]
		needs, err := t.Strings(qNeedsOf, last)
		if err != nil {
			return "", err
		}
		for _, need := range needs {
			if need == job {
				return "what it needs waits for it: " + path(job, last, neededBy), nil
			}
			if _, seen := neededBy[need]; !seen {
				neededBy[need] = last
				work = append(work, need)
			}
		}
		if len(neededBy) > maxVisited {
			return fmt.Sprintf("its needs lead through more than %d waiting jobs", maxVisited), nil
		}
	}
	return "", nil
}

// path tells how a job leads to itself by way of last.
func path(job, last string, neededBy map[string]string) string {
	way := []string{job}
	for at := last; at != job; at = neededBy[at] {
		way = append(way, at)
	}
	way = append(way, job)
	slices.Reverse(way)
	if more := len(way) - maxShown; more > 0 {
		way = slices.Replace(way, maxShown/2, maxShown/2+more, fmt.Sprintf("%d more", more))
	}
	return strings.Join(way, " needs ")
}
