package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// badPrograms are the programs of the bad jobs, as files in the programs folder.
var badPrograms = map[string]string{
	"number/program.json":     `{"input":{"properties":{"n":{"type":"integer","minimum":0}}}}`,
	"number/run":              "#!/bin/sh\nexec cat\n",
	"list/program.json":       `{"input":{"type":"array","uniqueItems":true,"items":{"type":"number"}}}`,
	"list/run":                "#!/bin/sh\nexec cat\n",
	"big-output/program.json": `{"result":{"multipleOf":2}}`,
	"big-output/run":          "#!/bin/sh\necho 1e1000001\n",
	"big-schema/program.json": `{"input":{"maxLength":1e1000001}}`,
	"big-schema/run":          "#!/bin/sh\nexec cat\n",
	"mismatch/program.json":   `{"result":{"type":"object"}}`,
	"mismatch/run":            "#!/bin/sh\necho '[1]'\n",
	"no-interpreter-line":     "echo 1\n",
	"no-interpreter":          "#!/opt/venv/bin/python\nprint(1)\n",
	"silent":                  "#!/bin/sh\nexit 0\n",
	"chatty":                  "#!/bin/sh\necho 'Loading model…'; echo '{}'\n",
	"nan":                     "#!/bin/sh\necho '{\"mean\": NaN}'\n",
	"two":                     "#!/bin/sh\necho '1 2'\n",
	"endless":                 "#!/bin/sh\nexec yes 1\n",
	"litter":                  "#!/bin/sh\nseq -f 'out/%g' 1500 | xargs touch; echo 1\n",
	"node":                    "#!/bin/sh\nprintf 'TypeError: beans is not iterable\\n    at main (/app/run.js:3:9)\\n\\nNode.js v20.20.2\\n' >&2; exit 1\n",
	"progress":                "#!/bin/sh\nprintf 'line 1 of 3\\rline 2 of 3\\rError: no scene\\r\\n' >&2; exit 65\n",
}

// badJob is a job with its expected end.
type badJob struct {
	name string
	// document has no id and no result; the test adds them. result is the result URL.
	document, result string
	state            jobs.State
	class            jobs.Outcome
	// message is a part of the message of the error, or of the reason of a waiting job.
	// Alternatives are separated by |.
	message string
}

// badJobs are one or more of each kind. elsewhere serves inputs and takes results.
func badJobs(elsewhere, beanstalkd, node string) []badJob {
	input := func(program, path string) string {
		return fmt.Sprintf(`"program":%q,"input":{"url":"%s%s"}`, program, elsewhere, path)
	}
	data := func(program, value string) string {
		return fmt.Sprintf(`"program":%q,"input":{"data":%s},"attempts":1`, program, value)
	}
	failed := func(name, document string, class jobs.Outcome, message string) badJob {
		return badJob{name: name, document: document, state: jobs.Failed, class: class, message: message}
	}
	return []badJob{
		failed("exponent", data("number", `{"n":1e1000001}`), jobs.OutcomeInput, "/n"),
		failed("exponent from a URL", input("number", "/exponent"), jobs.OutcomeInput, "/n"),
		failed("many exponents", data("list", "["+strings.Repeat("1e999999,", 3999)+"1e999999]"), jobs.OutcomeInput, "/0"),
		failed("exponent printed", data("big-output", "1"), jobs.OutcomeError, "number"),
		{name: "a hundred thousand zeros", document: input("list", "/zeros"), state: jobs.Failed, class: jobs.OutcomeInput},
		failed("no interpreter line", data("no-interpreter-line", "1"), jobs.OutcomeError, "#!"),
		failed("no interpreter", data("no-interpreter", "1"), jobs.OutcomeError, "/opt/venv/bin/python"),
		failed("not found", input("echo", "/404"), jobs.OutcomeInput, "404"),
		{name: "busy server", document: input("echo", "/busy"), state: jobs.Succeeded},
		failed("no result", data("silent", "1"), jobs.OutcomeError, "wrote nothing"),
		failed("text before the result", data("chatty", "1"), jobs.OutcomeError, "Loading model…"),
		failed("NaN", data("nan", "1"), jobs.OutcomeError, "NaN"),
		failed("two values", data("two", "1"), jobs.OutcomeError, "more than one"),
		failed("endless output", data("endless", "1"), jobs.OutcomeError, "stdout"),
		failed("too many files", data("litter", "1"), jobs.OutcomeError, "files"),
		failed("result of another shape", data("mismatch", "1"), jobs.OutcomeError, ""),
		failed("error of Node.js", data("node", "1"), jobs.OutcomeError, "TypeError: beans is not iterable"),
		failed("carriage returns", data("progress", "1"), jobs.OutcomeFailed, "Error: no scene"),
		{name: "tomorrow", document: data("echo", "1") + `,"not_before":"2099-01-01T00:00:00Z"`, state: jobs.Queued},
		{name: "unknown program", document: data("ecko", "1"), state: jobs.Waiting, message: "echo"},
		{name: "compressed", document: input("echo", "/gzip"), state: jobs.Succeeded},
		failed("unknown encoding", input("echo", "/encoding"), jobs.OutcomeInput, `"beans"`),
		failed("beanstalkd as input", fmt.Sprintf(`"program":"echo","input":{"url":"http://%s/"}`, beanstalkd), jobs.OutcomeInput, "not allowed"),
		failed("the node's API as input", fmt.Sprintf(`"program":"echo","input":{"url":"%s/api/v1/jobs"}`, node), jobs.OutcomeInput, "not allowed|403"),
		{name: "result URL that hangs", document: data("echo", "1"), result: elsewhere + "/hangs", state: jobs.Succeeded},
		{name: "labels from PHP", document: data("echo", "1") + `,"labels":[],"expires":null`, state: jobs.Succeeded},
		failed("wrong member", data("echo", "1")+`,"prioritee":1`, jobs.ClassDocument, "prioritee"),
	}
}

// elsewhere starts a server that fails in the ways that the bad jobs need.
func elsewhere(t *testing.T) *httptest.Server {
	var asked atomic.Int32
	quit := make(chan struct{})
	mux := http.NewServeMux()
	text := func(path, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
	}
	text("/exponent", `{"n":1e1000001}`)
	text("/zeros", "["+strings.Repeat("0,", 100_000)+"0]")
	mux.HandleFunc("/busy", func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, `"at last"`)
	})
	mux.HandleFunc("/gzip", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		packed := gzip.NewWriter(w)
		io.WriteString(packed, `"unpacked"`)
		packed.Close()
	})
	mux.HandleFunc("/encoding", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "x-beans")
		io.WriteString(w, `1`)
	})
	mux.HandleFunc("/hangs/", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-quit:
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(func() { close(quit); s.CloseClientConnections(); s.Close() })
	return s
}

// TestBadJobsBesideGoodOnes puts a job of each bad kind among 200 good ones on
// the inbox of two nodes with one ledger. Every good job succeeds, every bad one
// ends with its message, and neither node ends.
func TestBadJobsBesideGoodOnes(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	other := elsewhere(t)
	nodes := pair(t, server.Addr)
	var documents bytes.Buffer
	put := func(id, rest, result string) {
		document := fmt.Sprintf(`{"id":%q,"result":{"url":%q},%s}`, id, result, rest)
		fmt.Fprintf(&documents, "put 1024 0 60 %d\r\n%s\r\n", len(document), document)
	}
	const good = 200
	base := nodes[0].url
	bad := badJobs(other.URL, server.Addr, base)
	var goodIDs, badIDs []string
	for i := range good {
		id := jobs.NewID()
		goodIDs = append(goodIDs, id)
		put(id, `"program":"echo","input":{"data":1}`, base+"/"+id)
		if n := len(badIDs); i%(good/len(bad)) == 0 && n < len(bad) {
			id := jobs.NewID()
			badIDs = append(badIDs, id)
			result := bad[n].result
			if result == "" {
				result = base
			}
			put(id, bad[n].document, result+"/"+id)
		}
	}
	putAll(t, server.Addr, documents.Bytes(), len(goodIDs)+len(badIDs))
	for _, id := range goodIDs {
		if r := nodes[0].final(base + "/" + id); r.State != jobs.Succeeded {
			t.Errorf("good job %s %s: %+v", id, r.State, r.Error)
		}
	}
	for i, b := range bad {
		b.check(t, nodes[i%2], badIDs[i])
	}
	for _, p := range nodes {
		select {
		case <-p.done:
			t.Errorf("a node has ended:\n%s", p.log)
		default:
		}
		if strings.Contains(p.log.String(), "panic") {
			t.Errorf("a node tells of a panic:\n%s", p.log)
		}
	}
}

// pair starts two nodes that share ledger and store.
func pair(t *testing.T, beanstalkd string) [2]*process {
	t.Helper()
	first := newNode(t, beanstalkd)
	nodes := [2]*process{first, first.beside("n2")}
	for _, p := range nodes {
		p.env = append(p.env, "RUNNERBEAN_FETCH_ALLOW=127.0.0.0/8", "RUNNERBEAN_MAX_RESULT=1MiB")
		for path, text := range badPrograms {
			p.installFile(path, text)
		}
		p.start("worker")
	}
	return nodes
}

// putAll sends put commands to the inbox and waits until all are answered.
func putAll(t *testing.T, addr string, commands []byte, n int) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go fmt.Fprintf(conn, "use runnerbean/inbox\r\n%squit\r\n", commands)
	answers, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(answers, []byte("INSERTED")); got != n {
		t.Fatalf("beanstalkd has taken %d of %d documents: %q", got, n, answers)
	}
}

// check waits until a bad job has its expected end.
func (b badJob) check(t *testing.T, p *process, id string) {
	t.Helper()
	var got jobs.Result
	p.until(b.name+": "+string(b.state), func() bool {
		r, ok := p.get(p.url + "/" + id)
		got = r
		return ok && (r.State == b.state || r.State.Final())
	})
	message, class := got.Reason, jobs.Outcome("")
	if got.Error != nil {
		message, class = got.Error.Message, got.Error.Class
	}
	said := func(part string) bool { return strings.Contains(message+pointer(got), part) }
	if got.State != b.state || class != b.class || !slices.ContainsFunc(strings.Split(b.message, "|"), said) {
		t.Errorf("%s: job %s is %s, class %q, %q; want %s, class %q, with %q", b.name, id, got.State, class, message, b.state, b.class, b.message)
	}
}

func pointer(r jobs.Result) string {
	if r.Error == nil {
		return ""
	}
	return r.Error.Pointer
}

// installFile writes a file into the programs folder of a node.
func (p *process) installFile(path, text string) {
	p.t.Helper()
	mode := os.FileMode(0o755)
	if filepath.Ext(path) == ".json" {
		mode = 0o644
	}
	path = filepath.Join(p.setting("PROGRAMS"), path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		p.t.Fatal(err)
	}
}
