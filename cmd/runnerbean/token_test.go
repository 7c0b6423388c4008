package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/internal/signature"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestAccessFromTheCommandLine makes tokens, works with them at a node that
// wants its URLs signed, and takes one back.
func TestAccessFromTheCommandLine(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	folder := t.TempDir()
	tokens, key := filepath.Join(folder, "tokens"), filepath.Join(folder, "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("k", signature.MinURLKey)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.env = append(p.env, "RUNNERBEAN_TOKENS_FILE="+tokens, "RUNNERBEAN_RESULTS=signed", "RUNNERBEAN_URL_KEY_FILE="+key)
	viewing := strings.TrimSpace(p.expect(0, "", "token", "add", "vera", "--role", "viewer", "--expires", "90d"))
	operating := strings.TrimSpace(p.expect(0, "", "token", "add", "otto", "--role", "operator"))
	if list := p.expect(0, "vera", "token", "list"); !strings.Contains(list, "otto") || strings.Contains(list, viewing) {
		t.Errorf("the list is %s", list)
	}
	p.start("worker")
	vera, otto := p.as(viewing), p.as(operating)

	p.expect(exitError, "set RUNNERBEAN_TOKEN", "list")
	p.as("rb_wrong").expect(exitError, "not one of this node", "list")
	vera.expect(exitError, "needs the role operator", "submit", "--program", "echo", "--data", "[7]")
	out := otto.expect(0, "", "submit", "--program", "echo", "--data", "[7]")
	url := strings.TrimSpace(out)
	vera.expect(0, "succeeded", "watch", url)
	vera.expect(0, idOf(url), "list")
	vera.expect(0, "succeeded", "show", url)
	vera.expect(0, "n1", "nodes")
	vera.expect(0, "", "logs", "-f", idOf(url))

	p.expect(exitError, "401", "watch", url)
	signed := strings.TrimSpace(p.expect(0, "signature=", "sign", url, "--expires", "1h"))
	p.expect(0, "succeeded", "watch", signed)
	p.expect(0, "", "logs", signed)
	if r := statusOf(t, signed+"x"); r != http.StatusForbidden {
		t.Errorf("a wrong signature: %d", r)
	}

	p.expect(0, "of no more use", "token", "remove", "vera")
	p.until("takes the token back", func() bool { _, _, code := vera.client("", "list"); return code == exitError })
	otto.expect(0, "", "list")
	if log := p.log.String(); strings.Contains(log, viewing) || strings.Contains(log, operating) {
		t.Error("a token is in the log")
	}
}

func TestWrongUsageOfTokens(t *testing.T) {
	t.Parallel()
	p := newNode(t, "127.0.0.1:9")
	p.expect(exitUsage, "RUNNERBEAN_TOKENS_FILE", "token", "list")
	file := filepath.Join(t.TempDir(), "tokens")
	in := func(args ...string) []string { return append(append([]string{"token"}, args...), "--file", file) }
	p.expect(0, "nobody has a token", in("list")...)
	p.expect(exitUsage, "viewer, operator or submit", in("add", "vera")...)
	p.expect(exitUsage, "viewer, operator or submit", in("add", "vera", "--role", "root")...)
	p.expect(exitUsage, "a name has", in("add", "a b", "--role", "viewer")...)
	p.expect(exitUsage, "90d", in("add", "vera", "--role", "viewer", "--expires", "soon")...)
	p.expect(exitUsage, "negative", in("add", "vera", "--role", "viewer", "--expires", "-1h")...)
	p.expect(exitError, "nobody has a token with the name", in("remove", "vera")...)
	p.expect(0, "", in("add", "vera", "--role", "viewer")...)
	p.expect(exitError, "line 2", in("add", "vera", "--role", "viewer")...)
	p.expect(exitUsage, "RUNNERBEAN_URL_KEY_FILE", "sign", jobs.NewID())
	var listed struct{ Tokens []tokenLine }
	if err := json.Unmarshal([]byte(p.expect(0, "", in("list", "--json")...)), &listed); err != nil || len(listed.Tokens) != 1 || listed.Tokens[0].Role != "viewer" {
		t.Errorf("%v %+v", err, listed)
	}
}

// TestPathsOfTheCommandLine checks that ~ and blanks work in the paths of settings.
func TestPathsOfTheCommandLine(t *testing.T) {
	home := t.TempDir()
	for name, text := range map[string]string{"token": "a token\n", "key": strings.Repeat("k", signature.MinURLKey) + "\n"} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"HOME": home, "RUNNERBEAN_TOKEN": " ", "RUNNERBEAN_TOKEN_FILE": " ~/token ",
		"RUNNERBEAN_TOKENS_FILE": "~/tokens ", "RUNNERBEAN_URL_KEY_FILE": " ~/key",
	} {
		t.Setenv(name, value)
	}
	_, got, err := settings.ReadClient()
	if err != nil {
		t.Fatal(err)
	}
	if got != "a token" {
		t.Errorf("the token is %q", got)
	}
	for _, args := range [][]string{{"token", "add", "ann", "--role", "viewer"}, {"sign", jobs.NewID()}} {
		var out, log strings.Builder
		if err := run(t.Context(), t.Context(), args, strings.NewReader(""), &out, &log); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	if _, err := os.Stat(filepath.Join(home, "tokens")); err != nil {
		t.Error(err)
	}
}

func TestSettingsThatWouldLeaveDoorsOpen(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("k", 44)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		env  []string
		says string
	}{
		"signed without a key":    {[]string{"RESULTS=signed"}, "RUNNERBEAN_URL_KEY_FILE"},
		"neither open nor signed": {[]string{"RESULTS=shut"}, "open or signed"},
		"half of TLS":             {[]string{"TLS_CERT=/x"}, "RUNNERBEAN_TLS_KEY"},
		"TLS under http":          {[]string{"TLS_CERT=/x", "TLS_KEY=/x", "BASE_URL=http://a.example"}, "https://"},
		"signed for everybody":    {[]string{"RESULTS=signed", "URL_KEY_FILE=" + key, "LISTEN=0.0.0.0:0"}, "RUNNERBEAN_TOKENS_FILE"},
		"signed behind a proxy":   {[]string{"RESULTS=signed", "URL_KEY_FILE=" + key, "BASE_URL=https://a.example"}, "RUNNERBEAN_TOKENS_FILE"},
		"tokens that are missing": {[]string{"TOKENS_FILE=/missing"}, "RUNNERBEAN_TOKENS_FILE"},
		"tokens that are none":    {[]string{"TOKENS_FILE=" + key}, "RUNNERBEAN_TOKENS_FILE"},
		"a token to be guessed":   {[]string{"TOKEN=short"}, "RUNNERBEAN_TOKEN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newNode(t, "127.0.0.1:9")
			for _, setting := range test.env {
				p.env = append(p.env, "RUNNERBEAN_"+setting)
			}
			if _, log, code := p.client("", "worker"); code != exitUsage || !strings.Contains(log, test.says) {
				t.Errorf("exit code %d: %s", code, log)
			}
		})
	}
}

func TestANodeThatOthersReachIsReadOnlyWithoutTokens(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.env = append(p.env, "RUNNERBEAN_BASE_URL=https://results.example")
	p.start("worker")
	p.expect(exitError, "RUNNERBEAN_TOKENS_FILE", "submit", "--program", "echo", "--data", "1")
	p.expect(0, "", "list")
}

// as returns the same node with another token for its clients.
func (p *process) as(token string) *process {
	other := *p
	other.env = append(append([]string{}, p.env...), "RUNNERBEAN_TOKEN="+token)
	return &other
}
