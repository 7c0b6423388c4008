package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal/hostiletest"
	"github.com/runnerbean/runnerbean/jobs"
)

const hostileID = "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"

// hostileNode answers every request of the command line with hostile strings.
func hostileNode(t *testing.T) string {
	result := hostiletest.Filled[jobs.Result]()
	result.ID, result.State = hostileID, jobs.Failed
	page := hostiletest.Filled[api.Page]()
	page.Jobs[0].State, page.Jobs[1].State = jobs.Running, jobs.Failed
	details := hostiletest.Filled[api.Details]()
	answers := map[string]any{
		"/api/v1/jobs": page, "/api/v1/jobs/" + hostileID: details, "/api/v1/nodes": hostiletest.Filled[api.Nodes](),
		"/api/v1/overview": hostiletest.Filled[api.Overview](), "/api/v1/drain": hostiletest.Filled[api.Drains](), "/" + hostileID: result,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/log") {
			_, _ = io.WriteString(w, strings.ReplaceAll(hostiletest.Text, "x", "y")+"\n")
			return
		}
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/cancel") {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusConflict)
			problem := hostiletest.Filled[jobs.Problem]()
			problem.Status = http.StatusConflict
			_ = json.NewEncoder(w).Encode(problem)
			return
		}
		_ = json.NewEncoder(w).Encode(answers[r.URL.Path])
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestHostileStringsAreHarmlessInTheTerminal(t *testing.T) {
	t.Setenv("RUNNERBEAN_URL", hostileNode(t))
	for _, args := range [][]string{
		{"list"},
		{"list", "--json"},
		{"show", hostileID},
		{"show", hostileID, "--json"},
		{"logs", hostileID},
		{"watch", hostileID},
		{"watch", hostileID, "--json"},
		{"nodes", "--all"},
		{"nodes", "--json"},
		{"stats"},
		{"stats", "--json"},
		{"drain"},
		{"drain", hostiletest.Text, "--off"},
		{"drain", "worker1", "--json"},
		{"cancel", hostileID},
		{"retry", hostileID},
		{"pause", hostiletest.Text},
		{"resume", hostiletest.Text},
		{"slots", hostiletest.Text, "1"},
		{hostiletest.Text},
		{"show", hostiletest.Text},
	} {
		name := strings.Join(args, " ")
		var stdout, stderr bytes.Buffer
		err := run(context.Background(), context.Background(), args, strings.NewReader(""), &stdout, &stderr)
		said := stdout.String() + stderr.String()
		if err != nil {
			said += errorLine(err)
		}
		if bad := hostiletest.Obeyed(said); bad != "" {
			t.Errorf("%.40q: a terminal would obey %q", name, bad)
		}
		if said == "" {
			t.Errorf("%.40q prints nothing", name)
		}
	}
}
