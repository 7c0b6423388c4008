package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/doctor"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

func TestCommandsAsAClient(t *testing.T) {
	t.Parallel()
	p := startWorker(t)

	t.Run("submit a file and wait", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "job.json")
		if err := os.WriteFile(file, []byte(`{"program":"echo","input":{"data":[7]}}`), 0o644); err != nil {
			t.Fatal(err)
		}
		out, log, code := p.client("", "submit", file, "--wait")
		var result jobs.Result
		if err := json.Unmarshal([]byte(out), &result); err != nil || code != 0 || result.State != jobs.Succeeded {
			t.Errorf("exit code %d, %v\n%s%s", code, err, out, log)
		}
	})
	t.Run("submit standard input", func(t *testing.T) {
		out, log, code := p.client(`{"program":"echo","input":{"data":[7]}}`, "submit", "-")
		if code != 0 || !strings.HasPrefix(out, p.url+"/") {
			t.Errorf("exit code %d\n%s%s", code, out, log)
		}
	})
	t.Run("a failed job", func(t *testing.T) {
		out, log, code := p.client("", "submit", "--program", "refuses", "--data", "1", "--wait")
		if code != exitFailed || !strings.Contains(log, "no such meter") || !strings.Contains(out, `"failed"`) {
			t.Errorf("exit code %d\n%s%s", code, out, log)
		}
	})
	t.Run("many", func(t *testing.T) {
		const one, odd = `{"program":"echo","input":{"data":1}}`, `{"program":"ecko","input":{"data":1}}`
		for _, text := range []string{one + "\n" + odd + "\n" + one + "\n", "[" + one + "," + odd + "," + one + "]"} {
			out, log, code := p.client(text, "submit", "-")
			if urls := strings.Fields(out); code != 1 || len(urls) != 2 || !strings.Contains(log, "document 2 is refused") || !strings.Contains(log, "ecko") {
				t.Errorf("code %d: %s%s", code, out, log)
			}
			for _, url := range strings.Fields(out) {
				p.final(url)
			}
		}
		if _, log, code := p.client(one+one, "submit", "-", "--wait"); code == 0 || !strings.Contains(log, "one job") {
			t.Errorf("waiting for two: code %d: %s", code, log)
		}
	})
	for name, c := range map[string]struct {
		stdin, want string
		args        []string
	}{
		"array":  {"", `1 11 21`, []string{"--array", "1-21:10", "--data", `"${frame}"`}},
		"lines":  {"a b\n\n<c>\n", `"1 a b" "3 <c>"`, []string{"--each-line", "-", "--data", `"${frame} ${line}"`}},
		"matrix": {"", `{"a":1,"b":"x","frame":0} {"a":1,"b":true,"frame":1} {"a":2,"b":"x","frame":2} {"a":2,"b":true,"frame":3}`, []string{"--matrix", "a=1,2", "--matrix", "b=x,true"}},
	} {
		t.Run(name, func(t *testing.T) {
			id := jobs.NewID()
			args := append([]string{"submit", "--program", "echo", "--label", "of=" + name, "--batch", id}, c.args...)
			out, log, code := p.client(c.stdin, args...)
			if code != 0 || !strings.Contains(log, "list --label batch="+id) {
				t.Fatalf("exit code %d\n%s%s", code, out, log)
			}
			if r := p.final(strings.TrimSpace(out)); r.ID != id || r.State != jobs.Succeeded {
				t.Fatalf("%+v", r)
			}
			results := p.framesOf(id)
			if got := strings.Join(results, " "); got != c.want {
				t.Errorf("the results are %s, want %s", got, c.want)
			}
			if again, log, code := p.client(c.stdin, args...); again != out || code != 0 {
				t.Errorf("the same batch again: exit code %d\n%s%s", code, again, log)
			}
			listed, _, _ := p.client("", "list", "--label", "batch="+id, "--json")
			if n := strings.Count(listed, `"id"`); n != len(results) {
				t.Errorf("%d jobs are listed, want %d:\n%s", n, len(results), listed)
			}
		})
	}
	t.Run("unknown program", func(t *testing.T) {
		_, log, code := p.client("", "submit", "--program", "ecko", "--data", "1")
		if code != exitError || !strings.Contains(log, "/program") || !strings.Contains(log, "echo") {
			t.Errorf("exit code %d, %q; want the pointer and the nearest name", code, log)
		}
	})
	t.Run("cancel a running job", func(t *testing.T) {
		url := p.submit("hangs", "1")
		p.until("progress", func() bool { r, ok := p.get(url); return ok && r.Message == "holding on" })
		if out, log, code := p.client("", "cancel", url); code != 0 {
			t.Errorf("cancel: exit code %d\n%s%s", code, out, log)
		}
		if r := p.final(url); r.State != jobs.Cancelled {
			t.Errorf("state %s", r.State)
		}
		if _, _, code := p.client("", "watch", url); code != exitCancelled {
			t.Errorf("watch: exit code %d, want %d", code, exitCancelled)
		}
		if _, log, code := p.client("", "cancel", url); code != exitError || !strings.Contains(log, "409") {
			t.Errorf("cancel again: exit code %d, %q", code, log)
		}
	})
	t.Run("list, show and logs", func(t *testing.T) {
		url := p.submit("refuses", "1")
		p.final(url)
		id := url[strings.LastIndex(url, "/")+1:]
		out, _, _ := p.client("", "list", "--state", "failed", "--program", "refuses")
		if !strings.Contains(out, id) {
			t.Errorf("list does not name %s:\n%s", id, out)
		}
		out, _, _ = p.client("", "show", id, "--json")
		var details api.Details
		if err := json.Unmarshal([]byte(out), &details); err != nil || len(details.Attempts) != 1 || details.Attempts[0].Outcome != jobs.OutcomeFailed {
			t.Errorf("show: %v\n%s", err, out)
		}
		if out, _, _ = p.client("", "logs", "-f", id); out != "no such meter\n" {
			t.Errorf("logs: %q", out)
		}
	})
	t.Run("doctor", func(t *testing.T) {
		out, log, code := p.client("", "doctor")
		if code != 0 || !strings.Contains(out, "echo") {
			t.Errorf("exit code %d\n%s%s", code, out, log)
		}
	})
}

// framesOf returns the results of the frames of a batch, by number.
func (p *process) framesOf(id string) (results []string) {
	p.t.Helper()
	var list api.Frames
	p.api("/api/v1/jobs/"+id+"/frames", &list)
	for _, f := range list.Frames {
		var value any
		if err := json.Unmarshal(p.final(f.URL).Result, &value); err != nil {
			p.t.Fatal(err)
		}
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		if err := e.Encode(value); err != nil {
			p.t.Fatal(err)
		}
		results = append(results, strings.TrimSpace(text.String()))
	}
	return results
}

func TestDoctorSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	p := newNode(t, freePort(t))
	for _, kv := range p.env {
		if folder, ok := strings.CutPrefix(kv, "RUNNERBEAN_PROGRAMS="); ok {
			if err := os.Chmod(filepath.Join(folder, "echo"), 0o777); err != nil {
				t.Fatal(err)
			}
		}
	}
	out, _, code := p.client("", "doctor", "--json")
	var findings []doctor.Finding
	if err := json.Unmarshal([]byte(out), &findings); err != nil || code != exitError {
		t.Fatalf("exit code %d, %v\n%s", code, err, out)
	}
	wrong := map[string]string{}
	for _, f := range findings {
		if f.Status == "error" {
			wrong[f.Check] += f.Detail
		}
	}
	if !strings.Contains(wrong["program"], "echo") || wrong["beanstalkd"] == "" {
		t.Errorf("errors %v, want one of beanstalkd and one of the program echo", wrong)
	}
}

func TestWrongUsage(t *testing.T) {
	t.Setenv("RUNNERBEAN_DATA", t.TempDir())
	tests := map[string]struct {
		args []string
		env  map[string]string
		says string
	}{
		"no such flag":       {[]string{"list", "--colour"}, nil, "--colour"},
		"no job":             {[]string{"submit"}, nil, "--program"},
		"both":               {[]string{"submit", "x.json", "--program", "p"}, nil, "not both"},
		"no input":           {[]string{"submit", "--program", "p"}, nil, "--input"},
		"data is no JSON":    {[]string{"submit", "--program", "p", "--data", "{"}, nil, "JSON"},
		"batch of a file":    {[]string{"submit", "x.json", "--array", "1-2"}, nil, "a batch needs --program"},
		"two batches":        {[]string{"submit", "--program", "p", "--array", "1-2", "--matrix", "a=1"}, nil, "give one of"},
		"bad array":          {[]string{"submit", "--program", "p", "--array", "2-1"}, nil, "--array"},
		"huge array":         {[]string{"submit", "--program", "p", "--array", "1-10000000"}, nil, "more than 100000 frames"},
		"bad matrix":         {[]string{"submit", "--program", "p", "--matrix", "a"}, nil, "write a name and values"},
		"matrix twice":       {[]string{"submit", "--program", "p", "--matrix", "a=1", "--matrix", "a=2"}, nil, "a is given twice"},
		"matrix of frames":   {[]string{"submit", "--program", "p", "--matrix", "frame=1"}, nil, "the name of a value"},
		"no lines":           {[]string{"submit", "--program", "p", "--each-line", "-"}, nil, "- has no lines"},
		"absent lines":       {[]string{"submit", "--program", "p", "--each-line", "/absent"}, nil, "no such file"},
		"unknown value":      {[]string{"submit", "--program", "p", "--array", "1-2", "--data", `"${line}"`}, nil, "is no value of the frame"},
		"batch without id":   {[]string{"submit", "--program", "p", "--array", "1-2", "--batch", "seven"}, nil, "UUID"},
		"attempt 0":          {[]string{"logs", jobs.NewID(), "--attempt", "0"}, nil, "counted from 1"},
		"attempt -1":         {[]string{"logs", jobs.NewID(), "--attempt=-1"}, nil, "counted from 1"},
		"no id":              {[]string{"show", "seven"}, nil, "seven"},
		"bad duration":       {[]string{"worker"}, map[string]string{"RUNNERBEAN_TIMEOUT": "soon"}, "help config"},
		"bad network":        {[]string{"worker"}, map[string]string{"RUNNERBEAN_FETCH_ALLOW": "everything"}, "RUNNERBEAN_FETCH_ALLOW"},
		"bad proxy":          {[]string{"worker"}, map[string]string{"RUNNERBEAN_FETCH_PROXY": "proxy:3128"}, "RUNNERBEAN_FETCH_PROXY"},
		"bad server":         {[]string{"worker"}, map[string]string{"RUNNERBEAN_BEANSTALKD": "http://localhost"}, "host:port"},
		"two tokens":         {[]string{"worker"}, map[string]string{"RUNNERBEAN_TOKEN": "a", "RUNNERBEAN_TOKEN_FILE": "b"}, "not both"},
		"bad attempts":       {[]string{"worker"}, map[string]string{"RUNNERBEAN_ATTEMPTS": "0"}, "RUNNERBEAN_ATTEMPTS"},
		"two servers in dev": {[]string{"dev"}, map[string]string{"RUNNERBEAN_BEANSTALKD": "a:1,b:2"}, "one address"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for k, v := range test.env {
				t.Setenv(k, v)
			}
			var out, log bytes.Buffer
			err := run(t.Context(), t.Context(), test.args, strings.NewReader(""), &out, &log)
			if err == nil || exitCode(err) != exitUsage || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v (exit code %d), want a usage error with %q", err, exitCode(err), test.says)
			}
		})
	}
}

// TestEverySettingIsDocumented looks for every setting in docs/operations.md and in the
// table of "help config".
func TestEverySettingIsDocumented(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	table := settings.HelpTable()
	for _, name := range settings.Names() {
		if !regexp.MustCompile(`(?m)^` + name + ` +[^ (]`).MatchString(table) {
			t.Errorf("help config does not say what %s is", name)
		}
		if short := strings.TrimPrefix(name, settings.EnvPrefix); !strings.Contains(string(docs), "`"+name+"`") && !strings.Contains(string(docs), "`_"+short+"`") {
			t.Errorf("%s is not in docs/operations.md", name)
		}
	}
}

// TestContainersUseRealSettings checks the names of settings in Dockerfile and the compose
// files.
func TestContainersUseRealSettings(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"RUNNERBEAN_URL": true}
	for _, name := range settings.Names() {
		known[name] = true
	}
	for _, file := range []string{"../../Dockerfile", "../../docker-compose.yml", "../../examples/pool/docker-compose.yml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`RUNNERBEAN_[A-Z_]+`).FindAllString(string(text), -1)
		if len(names) == 0 {
			t.Errorf("%s names no setting", file)
		}
		for _, name := range names {
			if !known[name] {
				t.Errorf("%s sets %s, which is no setting", file, name)
			}
		}
	}
}

// TestImageClosesItsBinary checks that the user of an image cannot read the binary. Then the
// kernel closes the environment of a health check, which has the token, to programs.
func TestImageClosesItsBinary(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "chmod 711 bin/runnerbean") {
		t.Error("the user of the image can read its binary")
	}
}

// TestProgramThatCannotStart checks that doctor, the lists and the page of a program say
// why it cannot start, before any job runs.
func TestProgramThatCannotStart(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	const problem = "its interpreter /opt/venv/bin/python does not exist"
	file := filepath.Join(p.setting("PROGRAMS"), "venv")
	if err := os.WriteFile(file, []byte("#!/opt/venv/bin/python\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, _, code := p.client("", "doctor"); code != exitError || !strings.Contains(out, "venv cannot be started: "+problem) {
		t.Errorf("doctor: exit code %d\n%s", code, out)
	}
	p.start("worker")
	p.until("the node announces its programs", func() bool {
		var details api.ProgramDetails
		p.api("/api/v1/programs/venv", &details)
		return len(details.Nodes) == 1 && details.Nodes[0].Problem == problem
	})
	if page := p.text("/programs/venv"); !strings.Contains(page, problem) || !strings.Contains(page, "Its jobs fail at once") {
		t.Errorf("the program's page:\n%s", page)
	}
	if list := p.text("/programs"); !strings.Contains(list, "cannot be started on 1 of 1 node") {
		t.Errorf("the page of programs:\n%s", list)
	}
	if out, _, _ := p.client("", "nodes"); !strings.Contains(out, "venv (cannot start)") {
		t.Errorf("nodes:\n%s", out)
	}
	if r := p.final(p.submit("venv", "1")); r.State != jobs.Failed || r.Error.Class != jobs.OutcomeError || !strings.Contains(r.Error.Message, problem) {
		t.Errorf("%s: %+v", r.State, r.Error)
	}
}

// TestProgramWithAHostileSchema checks that a bad number in a program.json only disables
// its program: doctor names the place, and the node starts without the program.
func TestProgramWithAHostileSchema(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	dir := filepath.Join(p.setting("PROGRAMS"), "bad")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"run": "#!/bin/sh\ncat\n", "program.json": `{"input":{"properties":{"a":{"maxLength":1e1000001}}}}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const problem = "program.json: input: /properties/a/maxLength: the number 1e1000001 has an exponent beyond 1000"
	if out, _, _ := p.client("", "doctor"); !strings.Contains(out, problem) {
		t.Errorf("doctor:\n%s", out)
	}
	p.start("worker")
	if list := p.text("/programs"); strings.Contains(list, ">bad<") {
		t.Errorf("the page of programs has it:\n%s", list)
	}
}
