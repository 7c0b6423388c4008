// Package version says from which source the binary was built.
package version

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is the version that "make build VERSION=v1.2.3" sets, for sources that are
// no git checkout.
var release string

// Info describes the binary.
type Info struct {
	// Version is that of the release or of the module. A checkout between two
	// releases has a pseudo-version such as v0.1.1-0.20261126101502-8c78b15a3c21.
	Version string `json:"version"`
	// Commit and Date are of the commit of a checkout, and empty otherwise.
	Commit string `json:"commit,omitempty"`
	Date   string `json:"date,omitempty"` // RFC 3339
	// Modified is true where files of the checkout differ from the commit.
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Get returns the description of this binary.
func Get() Info {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		build = &debug.BuildInfo{}
	}
	return read(build, release)
}

func read(build *debug.BuildInfo, release string) Info {
	i := Info{
		Version: cmp.Or(release, build.Main.Version, "unknown"),
		Go:      runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			i.Commit = s.Value
		case "vcs.time":
			i.Date = s.Value
		case "vcs.modified":
			i.Modified = s.Value == "true"
		}
	}
	return i
}

// String returns the line that "runnerbean version" prints.
func (i Info) String() string {
	text := "runnerbean " + i.Version
	if i.Commit != "" {
		text += fmt.Sprintf(" (commit %.12s of %s", i.Commit, i.Date)
		if i.Modified {
			text += ", modified"
		}
		text += ")"
	}
	return text + " " + i.Go + " " + i.Platform
}
