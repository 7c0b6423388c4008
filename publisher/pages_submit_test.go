package publisher

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/internal/ledger/counters"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

func TestSubmitFromAForm(t *testing.T) {
	b := newBench(t)
	url := b.pool()
	tab := browsertest.NewTab(t, browsertest.Start(t), "422")
	tab.Open(url + "/programs/weather")
	tab.Fill(`[name="input/town"]`, `Oslo "<script>alert(1)</script>`)
	tab.Fill(`[name="input/days"]`, "3")
	tab.Fill(`[name="input/model"]`, `"exact"`)
	tab.Fill(`[name="input/heights"]`, "1, 2.5")
	tab.Fill(`[name="input/extra"]`, `{"a":`)
	tab.Press("Submit")
	tab.Until(`document.querySelector("small[role=alert]")?.textContent.includes("is no JSON")`)
	tab.CheckAccess("program with a fault")
	tab.Shoot("program-fault")
	tab.Fill(`[name="input/extra"]`, `{"a":1}`)
	tab.Press("Submit")
	tab.Until(`location.pathname.startsWith("/jobs/")`)
	id := browsertest.Evaluate[string](tab, `location.pathname.slice(6)`)
	record, err := b.ledger.Get(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	var job jobs.Job
	if err := json.Unmarshal(record.Document, &job); err != nil {
		t.Fatal(err)
	}
	want := `{"town":"Oslo \"<script>alert(1)</script>","days":3,"model":"exact","heights":[1,2.5],"extra":{"a":1}}`
	if got := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(job.Input.Data)); got != want {
		t.Errorf("input\n%s, want\n%s", got, want)
	}
}

// send posts the form of a program as a browser without scripts does.
func (b *bench) send(base, program string, fields url.Values) (status int, place, page string) {
	b.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.PostForm(base+"/programs/"+program+"/submit", fields)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer.StatusCode, answer.Header.Get("Location"), string(text)
}

func TestTheSameFormTwiceIsOneJob(t *testing.T) {
	b := newBench(t)
	base := b.pool()
	fields := url.Values{"nonce": {jobs.NewID()}, "input/town": {"Oslo"}, "input/days": {"7"}, "labels": {"meter=42\n\nsite = x=y "}}
	status, first, _ := b.send(base, "weather", fields)
	_, second, _ := b.send(base, "weather", fields)
	if status != http.StatusSeeOther || first != second {
		t.Errorf("status %d, %s and %s", status, first, second)
	}
	record, err := b.ledger.Get(context.Background(), strings.TrimPrefix(first, "/jobs/"))
	if err != nil || record.Labels["meter"] != "42" || record.Labels["site"] != "x=y" {
		t.Errorf("%v, %v", record.Labels, err)
	}
	fields.Set("input/town", "Bergen")
	if _, third, _ := b.send(base, "weather", fields); third == first {
		t.Error("another form is the same job")
	}
	counts, err := b.ledger.Activity.Counts(context.Background())
	if err != nil || counts[jobs.Queued] != 2 {
		t.Errorf("%v, %v", counts, err)
	}
}

func TestAFormSaysWhatIsWrong(t *testing.T) {
	b := newBench(t)
	base := b.pool()
	for name, test := range map[string]struct{ fields, says string }{
		"missing":            {"input/days=7", "is needed"},
		"beyond the schema":  {"input/town=Oslo&input/days=70", "must be &lt;= 14"},
		"a label":            {"input/town=Oslo&input/days=7&labels=x", "a label is written key=value"},
		"a URL that is none": {"url=nowhere", "/input/url"},
	} {
		fields, err := url.ParseQuery(test.fields)
		if err != nil {
			t.Fatal(err)
		}
		status, _, page := b.send(base, "weather", fields)
		if status != http.StatusUnprocessableEntity || !strings.Contains(page, test.says) {
			t.Errorf("%s: %d, the page lacks %q", name, status, test.says)
		}
		if strings.Contains(test.fields, "Oslo") && !strings.Contains(page, `value="Oslo"`) {
			t.Errorf("%s: what was filled in is lost", name)
		}
	}
	if counts, err := b.ledger.Activity.Counts(context.Background()); err != nil || counts[jobs.Queued] != 0 {
		t.Errorf("%v, %v", counts, err)
	}
	if status, _, _ := b.send(base, "nothing", url.Values{}); status != http.StatusNotFound {
		t.Errorf("an unknown program: %d", status)
	}
}

// TestHostileProgramsAndNodes puts hostile strings wherever a node can.
func TestHostileProgramsAndNodes(t *testing.T) {
	b := newBench(t)
	base := b.pool()
	bad := "<img src=x onerror=alert(1)>\u202egnp\x1b[31m" + strings.Repeat("W", 4000)
	schema, err := json.Marshal(map[string]any{
		"type": "object", "title": bad, "description": bad, "required": []string{"a"},
		"properties": map[string]any{"a": map[string]any{"type": "string", "title": bad, "description": bad, "default": bad}, bad: map[string]any{"enum": []string{bad}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	node := nodes.Node{Name: bad[:100], Instance: "bad", Version: bad[:90], BaseURL: "javascript:alert(1)", Slots: 1000000, Programs: []nodes.Program{
		{Name: "bad", SHA256: bad[:64], Description: bad, Input: schema},
	}}
	if err := b.ledger.Nodes.Register(context.Background(), node); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{bad[:64], bad[:60] + ".bad"} {
		if err := b.ledger.Counters.Add(context.Background(), node.Name, []counters.Sum{{Program: "bad", Name: name, At: time.Now(), N: 1e15}}); err != nil {
			t.Fatal(err)
		}
	}
	tab := browsertest.NewTab(t, browsertest.Start(t))
	for _, path := range []string{"/nodes", "/nodes/" + url.PathEscape(bad[:100]), "/programs", "/programs/bad"} {
		tab.Open(base + path)
		text := browsertest.Evaluate[string](tab, "document.querySelector('main').innerText")
		if browsertest.Evaluate[int](tab, "document.querySelectorAll('main img, main script').length") != 0 {
			t.Errorf("%s: an element was made of a string", path)
		}
		if strings.ContainsAny(text, "\u202e\x1b") || !strings.Contains(text, "<img src=x onerror") {
			t.Errorf("%s shows %.300q", path, text)
		}
		if browsertest.Evaluate[bool](tab, "[...document.links].some((a) => a.protocol === 'javascript:')") {
			t.Errorf("%s has a link that runs a script", path)
		}
		tab.Shoot("hostile")
	}
	tab.CheckComplaints()
}
