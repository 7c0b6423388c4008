package cycle

import (
	"fmt"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// waiting is a transaction in which jobs have open needs.
type waiting struct {
	engine.Tx
	needs map[string][]string
}

func (w waiting) Strings(_ *engine.Query, args ...any) ([]string, error) {
	return w.needs[args[0].(string)], nil
}

func TestFind(t *testing.T) {
	t.Parallel()
	long := map[string][]string{}
	for i := range 20 {
		long[fmt.Sprint(i)] = []string{fmt.Sprint((i + 1) % 20)}
	}
	endless := map[string][]string{}
	for i := range 2 * maxVisited {
		endless[fmt.Sprint(i)] = []string{fmt.Sprint(i + 1)}
	}
	for name, c := range map[string]struct {
		needs map[string][]string
		want  string
	}{
		"none":      {map[string][]string{"0": {"1", "2"}, "1": {"2"}}, ""},
		"two":       {map[string][]string{"0": {"1"}, "1": {"0"}}, "what it needs waits for it: 0 needs 1 needs 0"},
		"branches":  {map[string][]string{"0": {"1", "2"}, "1": {"3", "4"}, "2": {"5"}, "5": {"6"}, "3": {"0"}}, "what it needs waits for it: 0 needs 1 needs 3 needs 0"},
		"long":      {long, "what it needs waits for it: 0 needs 1 needs 2 needs 3 needs 13 more needs 17 needs 18 needs 19 needs 0"},
		"endless":   {endless, "its needs lead through more than 10000 waiting jobs"},
		"elsewhere": {map[string][]string{"0": {"1"}, "1": {"2"}, "2": {"1"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Find(waiting{needs: c.needs}, "0")
			if err != nil || got != c.want {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
}
