package metrics

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/oasdiff/yaml"
)

const examples = "../../examples/monitoring/"

func example(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(examples + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// run runs promtool and returns its output.
func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(promtool(t), args...).CombinedOutput()
	if err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
	return string(out)
}

var metricName = regexp.MustCompile(`runnerbean_[a-z_]+`)

// wantKnown fails the test for each metric in text that nodes do not have.
func wantKnown(t *testing.T, where, text string) {
	t.Helper()
	known := map[string]bool{}
	for _, f := range families(t) {
		known[f.Name] = true
		if f.Type == "histogram" {
			known[f.Name+"_bucket"], known[f.Name+"_sum"], known[f.Name+"_count"] = true, true, true
		}
	}
	for _, name := range metricName.FindAllString(text, -1) {
		if !known[name] {
			t.Errorf("%s: no node has a metric %s", where, name)
		}
	}
}

func TestAlertRules(t *testing.T) {
	t.Parallel()
	run(t, "check", "config", examples+"prometheus.yml")
	run(t, "test", "rules", examples+"alerts_test.yml")
	rules, tests := example(t, "alerts.yml"), example(t, "alerts_test.yml")
	wantKnown(t, "alerts.yml", rules)
	wantKnown(t, "alerts_test.yml", tests)
	for _, m := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(rules, -1) {
		if !strings.Contains(tests, "alertname: "+m[1]+"\n") {
			t.Errorf("alert %s has no test", m[1])
		}
	}
}

// strs returns all strings in a JSON document that stand under a name.
func strs(v any, name string) (list []string) {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			if s, ok := child.(string); ok && key == name {
				list = append(list, s)
			}
			list = append(list, strs(child, name)...)
		}
	case []any:
		for _, child := range v {
			list = append(list, strs(child, name)...)
		}
	}
	return list
}

// TestDashboard checks that every expression of the dashboard is valid and that nodes
// have its metrics.
func TestDashboard(t *testing.T) {
	t.Parallel()
	var dashboard map[string]any
	if err := json.Unmarshal([]byte(example(t, "grafana.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	exprs := strs(dashboard["panels"], "expr")
	if len(exprs) < 30 {
		t.Fatalf("only %d expressions", len(exprs))
	}
	exprs = append(exprs, strs(dashboard["annotations"], "expr")...)
	var rules strings.Builder
	rules.WriteString("groups:\n- name: g\n  rules:\n")
	for i, expr := range exprs {
		wantKnown(t, "grafana.json", expr)
		expr = strings.NewReplacer("$__rate_interval", "5m", "$program", ".*").Replace(expr)
		fmt.Fprintf(&rules, "  - record: e%d\n    expr: %q\n", i, expr)
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "check", "rules", file)
	wantKnown(t, "grafana.json", strings.Join(strs(dashboard["templating"], "query"), " "))
	ids := map[string]bool{}
	for _, panel := range dashboard["panels"].([]any) {
		id := fmt.Sprint(panel.(map[string]any)["id"])
		if ids[id] {
			t.Errorf("panel %s is there twice", id)
		}
		ids[id] = true
	}
}

// zabbix is the part of a Zabbix template that the test checks.
type zabbix struct {
	Export struct {
		Version   string
		Templates []struct {
			Template string
			Items    []struct {
				Name, Type, Key, URL string
				Preprocessing        []struct {
					Type       string
					Parameters []string
				}
				MasterItem struct{ Key string } `json:"master_item"`
			}
		}
	} `json:"zabbix_export"`
}

func TestZabbixTemplate(t *testing.T) {
	t.Parallel()
	text := example(t, "zabbix.yaml")
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var all any
	var z zabbix
	if err := json.Unmarshal(asJSON, &all); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(asJSON, &z); err != nil || z.Export.Version != "6.0" || len(z.Export.Templates) != 1 {
		t.Fatalf("%v %+v", err, z)
	}
	var seen []string
	for _, id := range strs(all, "uuid") {
		if u, err := uuid.Parse(id); err != nil || u.Version() != 4 || len(id) != 32 || slices.Contains(seen, id) {
			t.Errorf("uuid %s: %v", id, err)
		}
		seen = append(seen, id)
	}
	template := z.Export.Templates[0]
	var keys []string
	for _, item := range template.Items {
		keys = append(keys, item.Key)
		if item.Type == "HTTP_AGENT" {
			continue
		}
		if item.Type != "DEPENDENT" || item.MasterItem.Key != keys[0] || len(item.Preprocessing) != 1 {
			t.Errorf("item %+v", item)
			continue
		}
		p := item.Preprocessing[0]
		if p.Type != "PROMETHEUS_PATTERN" || len(p.Parameters) != 3 {
			t.Errorf("%s: %+v", item.Key, p)
			continue
		}
		wantKnown(t, item.Key, p.Parameters[0])
		if !strings.Contains(scrape(t, full()), "\n"+strings.SplitN(p.Parameters[0], "{", 2)[0]) {
			t.Errorf("%s finds nothing", item.Key)
		}
	}
	for _, m := range regexp.MustCompile(`/`+template.Template+`/([a-z.]+)`).FindAllStringSubmatch(text, -1) {
		if !slices.Contains(keys, m[1]) {
			t.Errorf("a trigger asks for %s, which is no item", m[1])
		}
	}
	for _, want := range []string{"runnerbean.slots.busy", "runnerbean.slots.idle"} {
		if !slices.Contains(keys, want) {
			t.Errorf("no item %s", want)
		}
	}
}

// TestZabbixUserParameter runs the command of the user parameter as the agent does.
func TestZabbixUserParameter(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(full().Handler())
	t.Cleanup(server.Close)
	m := regexp.MustCompile(`(?m)^UserParameter=runnerbean\[\*\],(.*)$`).FindStringSubmatch(example(t, "zabbix-userparameters.conf"))
	if m == nil {
		t.Fatal("there is none")
	}
	ask := func(metric string) (string, error) {
		command := strings.ReplaceAll(m[1], "http://127.0.0.1:8420", server.URL)
		command = strings.NewReplacer("$$", "$", "$1", metric).Replace(command)
		cmd := exec.Command("sh", "-c", command)
		cmd.Stderr = io.Discard
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err
	}
	for metric, want := range map[string]string{"runnerbean_slots_busy": "3", "runnerbean_slots_idle": "1"} {
		if got, err := ask(metric); got != want || err != nil {
			t.Errorf("%s is %q, %v", metric, got, err)
		}
	}
	if got, err := ask("runnerbean_x"); err == nil {
		t.Errorf("what there is not is %q", got)
	}
}
