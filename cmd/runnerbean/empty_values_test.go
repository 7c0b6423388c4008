package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestEmptyTablesOfOtherLanguages checks that null and the empty tables of PHP, Lua and
// others count as absent, in the inbox, in the API and on the command line.
func TestEmptyTablesOfOtherLanguages(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.start("worker")
	const rest = `"program":"echo","input":{"data":[],"url":null,"sha256":null},"labels":[],"needs":{},"files":{},"timeout":null,` +
		`"priority":null,"attempts":null,"not_before":null,"expires":null,"webhook":null,"rerun_of":null,"traceparent":null`
	id := jobs.NewID()
	putByHand(t, server.Addr, fmt.Sprintf(`{"id":%q,"result":{"url":"%s/%s"},"created":null,%s}`, id, p.url, id, rest))
	urls := []string{p.url + "/" + id, p.postJob(`{"id":null,"result":[],"created":null,` + rest + `}`)}
	file := filepath.Join(t.TempDir(), "job.json")
	if err := os.WriteFile(file, []byte(`{"id":null,"result":null,`+rest+`}`), 0o600); err != nil {
		t.Fatal(err)
	}
	out, log, code := p.client("", "submit", file)
	if code != 0 {
		t.Fatalf("submit: exit code %d: %s", code, log)
	}
	for _, url := range append(urls, strings.TrimSpace(out)) {
		if r := p.final(url); r.State != jobs.Succeeded || string(r.Result) != "[]" {
			t.Errorf("%s: %s, %+v", url, r.State, r.Error)
		}
	}
	answer, err := http.Post(p.url+"/api/v1/jobs", "application/json", strings.NewReader(`{"program":"echo","input":{"data":1},"labels":""}`))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("labels that are a text: %s", answer.Status)
	}
}
