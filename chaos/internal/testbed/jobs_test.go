package testbed

import (
	"regexp"
	"testing"
)

func TestIDsAreUUIDsThatTheSeedDecides(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	one, two, other := &Testbed{Config: Config{Seed: 1}}, &Testbed{Config: Config{Seed: 1}}, &Testbed{Config: Config{Seed: 2}}
	a, b, c := one.Random("jobs"), two.Random("jobs"), other.Random("jobs")
	for range 100 {
		id := newID(a)
		if !form.MatchString(id) {
			t.Fatalf("%s is no UUID of version 4", id)
		}
		if again := newID(b); again != id {
			t.Fatalf("the same seed gives %s and %s", id, again)
		}
		if newID(c) == id {
			t.Fatal("another seed gives the same id")
		}
	}
}

func TestProgramsKnowTheirNode(t *testing.T) {
	t.Parallel()
	if got := nodeOf("/tmp/x/node2/scratch/slot-1/abc"); got != "node2" {
		t.Errorf("node %q", got)
	}
}
