package health

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
)

func TestDifferences(t *testing.T) {
	t.Parallel()
	node := func(name, version, timeout, sha256 string) api.Node {
		return api.Node{
			Name: name, Alive: true, Version: version, Settings: map[string]string{"T": timeout, "K": ""},
			Installed: []api.Installed{{Name: "cat", SHA256: sha256}},
		}
	}
	a, b, c := node("a", "v1", "1h", "x"), node("b", "v1", "1h", "x"), node("c", "v1", "1h", "x")
	if got := Differences([]api.Node{a, b, c}); len(got) > 0 {
		t.Errorf("alike: %q", got)
	}
	dead, older := node("dead", "v0", "9h", "q"), node("a", "v0", "9h", "q")
	dead.Alive, older.Alive = false, false
	old := api.Node{Name: "old", Alive: true, Version: "v1"} // has no settings
	other := node("other\u202e", "v1", "30m", strings.Repeat("f", 64))
	other.Settings["K"] = "ab12"
	got := Differences([]api.Node{a, older, b, dead, old, other})
	want := []string{
		`K differs: none on a, b; ab12 on other\u{202e}`, `T differs: 1h on a, b; 30m on other\u{202e}`,
		`the program cat differs: x on a, b; ffffffffffff… on other\u{202e}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	left := node("left", "v9", "9h", "q")
	left.Left, left.Alive = time.Now(), false
	if got := Differences([]api.Node{a, left, node("v", "v2", "1h", "x")}); len(got) != 1 || got[0] != "the version differs: v1 on a; v2 on v" {
		t.Errorf("%q", got)
	}
}

func TestDifferencesAreBounded(t *testing.T) {
	t.Parallel()
	var nodes []api.Node
	for i := range 300 {
		n := api.Node{Name: fmt.Sprintf("n%03d", i), Alive: true}
		for p := range 300 {
			n.Installed = append(n.Installed, api.Installed{Name: fmt.Sprint("p", p), SHA256: fmt.Sprintf("%064d", i%9)})
		}
		nodes = append(nodes, n)
	}
	got := Differences(nodes)
	if len(got) != maxDifferences+1 || len(got[0]) > 1000 || !strings.Contains(got[0], "and 29 more") || !strings.HasSuffix(got[0], "and 5 more values") || got[maxDifferences] != "and 250 more differences" {
		t.Errorf("%d: %s, %s", len(got), got[0], got[len(got)-1])
	}
}
