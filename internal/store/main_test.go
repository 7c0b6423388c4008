package store

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childVar makes the test binary behave as one of children instead of testing.
const childVar = "STORE_TEST_CHILD"

var children = map[string]func() error{}

func TestMain(m *testing.M) {
	if name := os.Getenv(childVar); name != "" {
		if err := children[name](); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// bothWays runs a test with files that have no name and with temporary ones.
func bothWays(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Helper()
	for _, way := range []string{"unnamed", "temporary"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir())
			if way == "temporary" {
				s.disk().unnamed = false
			}
			test(t, s)
		})
	}
}

// disk returns the folder of a store that is in one.
func (s *Store) disk() *disk { return s.engine.(*disk) }

func mustCreate(t testing.TB, s *Store, key, data string) {
	t.Helper()
	if err := s.Create(context.Background(), key, []byte(data)); err != nil {
		t.Fatal(err)
	}
}
