package version

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	t.Parallel()
	checkout := []debug.BuildSetting{
		{Key: "vcs.revision", Value: "8c78b15a3c21d0e4"}, {Key: "vcs.time", Value: "2026-11-26T10:15:02Z"}, {Key: "vcs.modified", Value: "true"},
	}
	for name, test := range map[string]struct {
		build   debug.BuildInfo
		release string
		want    string // what the line begins with
	}{
		"go install":      {debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "", "runnerbean v1.2.3 go"},
		"a checkout":      {debug.BuildInfo{Main: debug.Module{Version: "v0.0.0-x+dirty"}, Settings: checkout}, "", "runnerbean v0.0.0-x+dirty (commit 8c78b15a3c21 of 2026-11-26T10:15:02Z, modified) go"},
		"a clean one":     {debug.BuildInfo{Main: debug.Module{Version: "v0.0.0-x"}, Settings: checkout[:2]}, "", "runnerbean v0.0.0-x (commit 8c78b15a3c21 of 2026-11-26T10:15:02Z) go"},
		"a release build": {debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "v1.3.0", "runnerbean v1.3.0 go"},
		"nothing known":   {debug.BuildInfo{}, "", "runnerbean unknown go"},
	} {
		if got := read(&test.build, test.release).String(); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
