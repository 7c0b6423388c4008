package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/runnerbean/runnerbean/"

// arrows are the only imports between the packages of this module, as
// docs/architecture.md draws them.
var arrows = map[string][]string{
	"cmd/runnerbean":               {"worker", "publisher", "jobs", "internal/access", "internal/dispatch", "internal/ledger", "internal/logtext", "internal/metrics", "internal/outbound", "internal/queue", "internal/store", "internal/tracing", "internal/vitals", "internal/webhook"},
	"worker":                       {"internal/panics", "worker/internal/process", "jobs", "internal/ledger", "internal/logtext", "internal/outbound", "internal/queue", "internal/validate", "internal/store"},
	"publisher":                    {"internal/panics", "jobs", "internal/access", "internal/ledger", "internal/logtext", "internal/outbound", "internal/store", "publisher/internal/fast", "publisher/internal/inputform", "publisher/internal/stream"},
	"publisher/internal/stream":    {},
	"publisher/internal/fast":      {},
	"publisher/internal/inputform": {"internal/panics", "internal/validate"},
	"internal/access":              {},
	"internal/dispatch":            {"internal/panics", "jobs", "internal/ledger", "internal/queue"},
	"internal/ledger":              {"internal/panics", "jobs"},
	"internal/logtext":             {},
	"internal/metrics":             {"internal/panics", "jobs", "worker"},
	"internal/outbound":            {},
	"internal/tracing":             {"worker"},
	"internal/webhook":             {"internal/panics", "jobs", "internal/ledger", "internal/outbound"},
	"internal/queue":               {"internal/panics"},
	"internal/ledger/ledgertest":   {"internal/ledger"},
	"internal/queue/queuetest":     {"internal/queue"},
	"internal/browsertest":         {},
	"internal/stracetest":          {},
	"internal/validate":            {"internal/panics"},
	"internal/panics":              {},
	"internal/store":               {},
	"internal/vitals":              {"jobs"},
	"jobs":                         {"internal/queue"},
	"worker/internal/process":      {"internal/logtext"},
	"examples/forecast":            {},
	"examples/website":             {"jobs"},
	"examples/demo":                {"jobs"},
	// What judges the product shares no code with it.
	"chaos":       {"chaos/check"},
	"chaos/check": {},
}

func TestImportsFollowTheArrows(t *testing.T) {
	for pkg, imports := range list(t, "./...") {
		allowed, known := arrows[pkg]
		if !known {
			t.Errorf("%s has no place in the layout: give it one in docs/architecture.md and here", pkg)
		}
		for _, imported := range imports {
			own, ok := strings.CutPrefix(imported, module)
			if ok && !slices.Contains(allowed, own) {
				t.Errorf("%s imports %s, which the layout does not allow", pkg, own)
			}
		}
	}
}

func TestOnlyQueueImportsTheBeanstalkdClient(t *testing.T) {
	for pkg, imports := range list(t, "./...") {
		if pkg != "internal/queue" && slices.Contains(imports, "github.com/beanstalkd/go-beanstalk") {
			t.Errorf("%s imports go-beanstalk: only internal/queue may", pkg)
		}
	}
}

func TestOnlyMetricsImportsThePrometheusClient(t *testing.T) {
	for pkg, imports := range list(t, "./...") {
		for _, imported := range imports {
			if pkg != "internal/metrics" && strings.HasPrefix(imported, "github.com/prometheus/") {
				t.Errorf("%s imports %s: only internal/metrics may", pkg, imported)
			}
		}
	}
}

// TestJobsIsLight holds the promise that a web server can import jobs without
// a database, a server framework or process handling coming along.
func TestJobsIsLight(t *testing.T) {
	out := goList(t, "-deps", "-f", "{{.ImportPath}}", "./jobs")
	for _, heavy := range []string{"github.com/labstack/echo/v4", "database/sql", "modernc.org/sqlite", "os/exec", "html/template", "flag", "github.com/spf13/cobra"} {
		if slices.Contains(strings.Fields(out), heavy) {
			t.Errorf("jobs depends on %s", heavy)
		}
	}
}

// list returns the imports of each package of the module, without tests.
func list(t *testing.T, pattern string) map[string][]string {
	t.Helper()
	packages := map[string][]string{}
	for line := range strings.Lines(goList(t, "-f", `{{.ImportPath}} {{join .Imports " "}}`, pattern)) {
		fields := strings.Fields(line)
		packages[strings.TrimPrefix(fields[0], module)] = fields[1:]
	}
	return packages
}

func goList(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return string(out)
}
