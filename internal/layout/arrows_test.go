package layout

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/runnerbean/runnerbean/"

// arrowsFile lists every import of one package of this module by another, a
// line each.
const arrowsFile = "testdata/arrows.txt"

func TestImportsFollowTheArrows(t *testing.T) {
	data, err := os.ReadFile(arrowsFile)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSpace(string(data)), "\n")
	slices.Sort(want)
	var got []string
	for pkg, imports := range list(t, "./...") {
		for _, imported := range imports {
			if own, ok := strings.CutPrefix(imported, module); ok {
				got = append(got, pkg+" -> "+own)
			}
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(slices.Compact(want), got); diff != "" {
		t.Errorf("imports between packages (- %s, + the code). If the new arrow is right, add it there and in docs/architecture.md:\n%s", arrowsFile, diff)
	}
}

// independent lists the packages that must not import one another. cmd/runnerbean
// connects them.
var independent = []string{"worker", "publisher", "internal/dispatch", "internal/webhook", "internal/metrics", "internal/tracing"}

func TestComponentsDoNotImportOneAnother(t *testing.T) {
	for pkg, imports := range list(t, "./...") {
		from := component(pkg)
		for _, imported := range imports {
			to := component(strings.TrimPrefix(imported, module))
			if from != "" && to != "" && from != to {
				t.Errorf("%s imports %s", pkg, imported)
			}
		}
	}
}

func component(pkg string) string {
	for _, s := range independent {
		if pkg == s || strings.HasPrefix(pkg, s+"/") {
			return s
		}
	}
	return ""
}

// TestChaosSharesNothing holds that the program that tests the product uses none of its code.
func TestChaosSharesNothing(t *testing.T) {
	for pkg, imports := range list(t, "./chaos/...") {
		for _, imported := range imports {
			if own, ok := strings.CutPrefix(imported, module); ok && !strings.HasPrefix(own, "chaos/") {
				t.Errorf("%s imports %s", pkg, own)
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
// a database, a server framework or process handling coming along. jobs/jobstest, which
// only tests import, is another package.
func TestJobsIsLight(t *testing.T) {
	out := goList(t, "-deps", "-f", "{{.ImportPath}}", "./jobs", "./api")
	for _, heavy := range []string{"github.com/labstack/echo/v4", "database/sql", "modernc.org/sqlite", "os/exec", "html/template", "flag", "github.com/spf13/cobra"} {
		if slices.Contains(strings.Fields(out), heavy) {
			t.Errorf("jobs or api depends on %s", heavy)
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
