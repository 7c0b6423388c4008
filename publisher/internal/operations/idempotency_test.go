package operations

import (
	"fmt"
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
)

func TestDerivedIDs(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, parts := range [][]string{{}, {""}, {"", ""}, {"a"}, {"a", "b"}, {"ab"}, {"a", "", "b"}, {"b", "a"}} {
		id := derivedID(parts...)
		if !jobs.ValidID(id) || seen[id] || id != derivedID(parts...) {
			t.Errorf("%q: %s", parts, id)
		}
		seen[id] = true
	}
	for i := range 1000 {
		if id := derivedID(fmt.Sprint(i)); !jobs.ValidID(id) {
			t.Fatal(id)
		}
	}
}
