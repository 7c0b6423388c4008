package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestDocumentsOfAnOldNodeAreMoved puts a document for a node that is not there. Verdict,
// doctor and inbox tell of it; moved, it runs.
func TestDocumentsOfAnOldNodeAreMoved(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.start("worker")
	producer, err := queue.NewProducer(queue.Config{Addrs: []string{server.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	id := jobs.NewID()
	body := fmt.Sprintf(`{"id":%q,"program":"echo","input":{"data":7},"result":{"url":"%s/%s"}}`, id, p.url, id)
	if _, err := producer.Put(t.Context(), queue.Message{Tube: "runnerbean/inbox/oldnode", Body: []byte(body)}); err != nil {
		t.Fatal(err)
	}
	const do = "runnerbean inbox move oldnode"
	p.until("the verdict says so", func() bool { return strings.Contains(p.must("stats", "--json"), do) })
	if out, _, _ := p.client("", "doctor"); !strings.Contains(out, do) {
		t.Errorf("doctor does not:\n%s", out)
	}
	if out := p.must("inbox"); !strings.Contains(out, "oldnode  1 ") {
		t.Errorf("inbox says\n%s", out)
	}
	if out := p.must("inbox", "move", "oldnode", "--dry-run"); !strings.Contains(out, "1 message would be moved") {
		t.Errorf("%s", out)
	}
	if out := p.must("inbox", "move", "oldnode", "n1", "--json"); !strings.Contains(out, `"messages": 1`) {
		t.Errorf("%s", out)
	}
	if r := p.final(p.url + "/" + id); r.State != jobs.Succeeded {
		t.Errorf("the job is %s", r.State)
	}
	if out := p.must("inbox"); !strings.Contains(out, "no messages wait") {
		t.Errorf("inbox says\n%s", out)
	}
}
