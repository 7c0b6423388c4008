package settings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/internal/suggest"
)

// clientVariables are the variables that only the command line reads.
var clientVariables = []string{EnvPrefix + "URL"}

// programVariables are the variables that a node sets for programs; see
// docs/programs.md.
var programVariables = []string{"JOB_ID", "ATTEMPT", "PROGRAM", "RESULT_URL", "SCRATCH"}

// Unknown returns a warning for each variable that looks like a setting and is none,
// with the nearest setting. Inside a program the variables of programs are known.
func Unknown(environ []string) []string {
	known := map[string]string{}
	for _, name := range append(Names(), clientVariables...) {
		known[strings.ToLower(name)] = name
	}
	given := GivenSettings(environ)
	if _, inside := given[EnvPrefix+"JOB_ID"]; inside {
		for _, name := range programVariables {
			delete(given, EnvPrefix+name)
		}
	}
	var said []string
	for name := range given {
		lower := strings.ToLower(name)
		if !strings.HasPrefix(lower, strings.ToLower(EnvPrefix)) || known[lower] == name {
			continue
		}
		text := fmt.Sprintf("%s is not a setting and is ignored", terminal.Safe(terminal.Shorten(name, 80)))
		if near := nearestSetting(lower, known); near != "" {
			text += "; " + near + " is probably meant"
		}
		said = append(said, text)
	}
	slices.Sort(said)
	return said
}

// nearestSetting compares names without their common prefix.
func nearestSetting(lower string, known map[string]string) string {
	prefix := strings.ToLower(EnvPrefix)
	rests := map[string]string{}
	for name, setting := range known {
		rests[strings.TrimPrefix(name, prefix)] = setting
	}
	return rests[suggest.Nearest(strings.TrimPrefix(lower, prefix), rests)]
}
