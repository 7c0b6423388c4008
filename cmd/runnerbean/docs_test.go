package main

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// block is a piece of code in a document.
type block struct{ page, language, code string }

var fence = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

// blocks returns the code of README and docs.
func blocks(t *testing.T) []block {
	t.Helper()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var list []block
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
			list = append(list, block{filepath.Base(page), m[1], m[2]})
		}
	}
	return list
}

// interpreters run code of a language.
var interpreters = map[string]string{"sh": "bash", "bash": "bash", "python": "python3", "php": "php", "perl": "perl", "ruby": "ruby"}

// TestRecipesPutJobs runs every documented recipe that submits a job. It replaces only
// the ports.
func TestRecipesPutJobs(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.install("forecast", "cat")
	p.start("worker")
	_, queuePort, err := net.SplitHostPort(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	nodePort := p.url[strings.LastIndex(p.url, ":")+1:]
	id := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	ran := 0
	for _, b := range blocks(t) {
		name, known := interpreters[b.language]
		if !known || !strings.Contains(b.code, "runnerbean/inbox") && !strings.Contains(b.code, "/api/v1/jobs") {
			continue
		}
		code := strings.NewReplacer("11300", queuePort, "8420", nodePort).Replace(b.code)
		if _, err := exec.LookPath(name); err != nil || strings.Contains(code, "curl ") && !installed("curl") {
			t.Logf("%s: %s is not installed", b.page, b.language)
			continue
		}
		cmd := exec.CommandContext(t.Context(), name)
		cmd.Stdin = strings.NewReader(code)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		found := id.FindAllString(string(out), -1)
		if err != nil || len(found) == 0 {
			t.Errorf("%s, %s: %v\n%s", b.page, b.language, err, out)
			continue
		}
		ran++
		r := p.lastOfMany(p.url + "/" + found[len(found)-1])
		if r.State != jobs.Succeeded {
			t.Errorf("%s, %s: %s, %+v", b.page, b.language, r.State, r.Error)
			continue
		}
		if labels := p.details(r.ID).Job.Labels; len(labels) != 1 || labels["customer"] != "Müller" {
			t.Errorf("%s, %s: labels are %v", b.page, b.language, labels)
		}
	}
	if ran < 2 {
		t.Errorf("%d recipes ran", ran)
	}
}

// lastOfMany returns the result at a URL whose job ends after others.
func (p *process) lastOfMany(url string) (result jobs.Result) {
	p.t.Helper()
	ended := func() (ok bool) {
		result, ok = p.get(url)
		return ok && result.State.Final()
	}
	for n := -1; !ended(); n = p.succeeded() {
		p.until("more jobs end before "+url, func() bool { return ended() || p.succeeded() > n })
	}
	return result
}

func installed(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
}

// TestCommandsOfThePages checks that the commands and flags in README and docs exist.
func TestCommandsOfThePages(t *testing.T) {
	t.Parallel()
	line := regexp.MustCompile(`(?m)^    (?:sudo |RUNNERBEAN_[A-Z_]+=\S+ )*runnerbean ([^#&\n]+)`)
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "@latest") {
			t.Errorf("%s installs a release, and there is none yet", page)
		}
		for _, m := range line.FindAllStringSubmatch(string(text), -1) {
			found++
			root := newRoot(&app{stdout: io.Discard, stderr: io.Discard})
			cmd, rest, err := root.Find(settings.SplitWords(m[1]))
			if err == nil && cmd == root {
				t.Errorf("%s: there is no command %q", page, m[1])
			}
			if err == nil {
				err = cmd.ParseFlags(rest)
			}
			if err == nil && cmd.Args != nil {
				err = cmd.Args(cmd, cmd.Flags().Args())
			}
			if err != nil {
				t.Errorf("%s: %s: %v", page, m[1], err)
			}
		}
	}
	if found < 10 {
		t.Errorf("%d commands are found", found)
	}
}

// TestSudoCoversNoRedirection checks that no recipe with sudo redirects output, which
// the ordinary user would write.
func TestSudoCoversNoRedirection(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for part := range strings.SplitSeq(string(text), "\n\n") {
			if strings.HasPrefix(part, "    ") && strings.Contains(part, "sudo ") && regexp.MustCompile(`> ?/(etc|usr|var)/`).MatchString(part) {
				t.Errorf("%s: an ordinary user cannot do this:\n%s", filepath.Base(page), part)
			}
		}
	}
}
