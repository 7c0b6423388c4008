package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/internal/store/bucket/buckettest"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestFollowedLog follows a program that writes several MiB in its first attempt and
// writes over its progress in the second.
func TestFollowedLog(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	followLog(p, p)
}

// TestFollowedLogInABucket follows it at a node that has no programs, from a store whose
// objects cannot grow.
func TestFollowedLogInABucket(t *testing.T) {
	bucket := buckettest.Start(t)
	p := newNode(t, queuetest.Start(t).Addr)
	reader := p.beside("n2")
	for _, n := range []*process{p, reader} {
		n.env = append(n.env, "RUNNERBEAN_STORE="+bucket.URL, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test-secret")
	}
	reader.env = append(reader.env, "RUNNERBEAN_PROGRAMS="+t.TempDir())
	followLog(p, reader)
	if n := len(slices.DeleteFunc(bucket.Keys(), func(key string) bool { return !strings.Contains(key, "/logs/") })); n != 2 {
		t.Errorf("%d logs in the bucket after 2 attempts", n)
	}
}

// followLog starts the nodes, runs the program at p and reads its log at reader.
func followLog(p, reader *process) {
	t := p.t
	gates := t.TempDir()
	p.install("chatter", fmt.Sprintf(`if [ "$RUNNERBEAN_ATTEMPT" = 1 ]; then
awk 'BEGIN { for (i = 0; i < 150000; i++) printf "größer als %%d €\n", i }' >&2
echo '{"message":"written"}' >&3
until [ -e %[1]s/1 ]; do sleep 0.05; done
exit 75
fi
printf 'zweiter Anlauf\r\n 5 %%%%\r50 %%%%\r' >&2
echo '{"message":"again"}' >&3
until [ -e %[1]s/2 ]; do sleep 0.05; done
printf '100 %%%%\nfertig' >&2
echo 1`, gates))
	p.start("worker")
	if reader != p {
		reader.start("worker")
	}
	url := strings.Replace(p.submit("chatter", "1"), p.url, reader.url, 1)
	p.until("the program has written", func() bool { r, _ := p.get(url); return r.Message == "written" })
	self := p.background("logs", "-f", url)
	p.until("the end of the first attempt's log", func() bool { return strings.Contains(self.log.String(), "größer als 149999 €\n") })
	open := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(gates, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	open("1")
	p.until("the second attempt.s log", func() bool { return strings.Contains(self.log.String(), "attempt 2:\nzweiter Anlauf\n") })
	open("2")
	<-self.done
	text := self.log.String()
	if !strings.HasSuffix(text, "attempt 2:\nzweiter Anlauf\n100 %\nfertig\n") {
		t.Errorf("it ends with %q", text[max(0, len(text)-200):])
	}
	if code := self.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	checkNumbered(t, text)
	logged, said, code := p.client("", "logs", "--attempt", "1", url)
	if code != 0 || !strings.HasPrefix(logged, "größer als 0 €\n") || !strings.HasSuffix(logged, "größer als 149999 €\n") || !strings.Contains(said, "MiB left out") {
		t.Errorf("exit code %d, %d bytes, %q", code, len(logged), said)
	}
	checkNumbered(t, logged)
}

// checkNumbered checks that lines are in order, and complete except at a gap.
func checkNumbered(t *testing.T, text string) {
	t.Helper()
	last, broken, gaps := -1, 0, 0
	for line := range strings.Lines(text) {
		var n int
		switch _, err := fmt.Sscanf(line, "größer als %d €", &n); {
		case strings.Contains(line, "left out"):
			gaps++
		case strings.ContainsAny(line, "\\\uFFFD\r"):
			t.Errorf("a character is cut in two: %q", line)
		case strings.HasPrefix(line, "attempt"), strings.HasPrefix(line, "zweiter"), strings.HasPrefix(line, "100"), strings.HasPrefix(line, "fertig"):
		case err != nil || !strings.HasSuffix(line, " €\n"):
			broken++
		case n <= last:
			t.Fatalf("%d comes after %d", n, last)
		default:
			last = n
		}
	}
	if last != 149_999 || broken > 2*max(gaps, 1) {
		t.Errorf("the last number is %d; %d broken lines beside %d gaps", last, broken, gaps)
	}
}

func TestLogPrinter(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pieces []string
		live   bool
		want   string
	}{
		"lines":               {[]string{"one\ntw", "o\n"}, false, "one\ntwo\n"},
		"characters in two":   {[]string{"gr\xc3", "\xb6\xc3\x9f", "er\n"}, false, "größer\n"},
		"CR in two":           {[]string{"1 %\r", "2 %\r", "\nend\r", "\n"}, false, "2 %\nend\n"},
		"no end":              {[]string{"a"}, false, "a\n"},
		"escapes":             {[]string{"\x1b[", "31mred\x1b[0m\n\x00\n"}, false, "red\n\\u{0}\n"},
		"gap inside a letter": {[]string{"a\xc3", "|", "\xb6b\n"}, false, "a\nb\n"},
		"terminal":            {[]string{"1 %\r", "2 %\r\n"}, true, "\r\x1b[K1 %\r\x1b[K2 %\n"},
	} {
		var out strings.Builder
		p := &logPrinter{out: &out, live: test.live}
		for _, piece := range test.pieces {
			err := error(nil)
			if piece == "|" {
				err = p.gap()
			} else {
				_, err = p.Write([]byte(piece))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := p.end(); err != nil || out.String() != test.want {
			t.Errorf("%s: %q, %v; want %q", name, out.String(), err, test.want)
		}
	}
	p := &logPrinter{out: &strings.Builder{}}
	for range 100 {
		_, _ = p.Write([]byte(strings.Repeat("x", 10_000)))
	}
	if len(p.held) > 2*maxLine {
		t.Errorf("%d bytes are held back", len(p.held))
	}
}

// TestInterruptedWait checks that Ctrl-C ends the command and not the job.
func TestInterruptedWait(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	p.install("talks", `echo holding on >&2; echo '{"message":"holding on"}' >&3; exec sleep 1000`)
	p.start("worker")
	url := p.submit("talks", "1")
	for name, args := range map[string][]string{
		"submit": {"submit", "--wait", "--program", "talks", "--data", "1"}, "watch": {"watch", url}, "logs": {"logs", "-f", url},
	} {
		q := p.background(args...)
		p.until(name+" waits", func() bool { return strings.Contains(q.log.String(), "holding on") })
		q.end(syscall.SIGINT)
		said := q.log.String()
		if code := q.cmd.ProcessState.ExitCode(); code != exitStopped || !strings.Contains(said, "runnerbean: stopped") || !strings.Contains(said, p.url+"/") || strings.Contains(said, "context canceled") {
			t.Errorf("%s: exit code %d\n%s", name, code, said)
		}
	}
	if r, _ := p.get(url); r.State != jobs.Running {
		t.Errorf("the job is %s", r.State)
	}
}

// TestAbbreviatedIDs checks that a part of an id works where it belongs to one job.
func TestAbbreviatedIDs(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	put := func(id string) {
		t.Helper()
		if out, log, code := p.client(`{"id":"`+id+`","program":"refuses","input":{"data":1}}`, "submit", "-"); code != 0 {
			t.Fatalf("%s%s", out, log)
		}
		p.final(p.url + "/" + id)
	}
	const one, two = "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2", "019aae04-9f81-7c61-8d2e-5b1c7a90aaaa"
	put(one)
	put(two)
	for _, part := range []string{one, strings.ToUpper(one), one[:13], "90e1f2", text.ShortID(one), "019aae04...e1f2", p.url + "/" + one} {
		if out, log, code := p.client("", "show", part); code != 0 || !strings.Contains(out, one) {
			t.Errorf("%s: exit code %d\n%s%s", part, code, out, log)
		}
	}
	if out, log, code := p.client("", "logs", "90e1f2"); code != 0 || out != "no such meter\n" {
		t.Errorf("exit code %d\n%s%s", code, out, log)
	}
	for _, verb := range []string{"retry", "show", "watch"} {
		_, log, code := p.client("", verb, "019aae04")
		if code != exitUsage || !strings.Contains(log, one) || !strings.Contains(log, two) || !strings.Contains(log, "several") {
			t.Errorf("%s: exit code %d: %s", verb, code, log)
		}
	}
	if d := p.details(one); len(d.Attempts) != 1 {
		t.Errorf("%d attempts", len(d.Attempts))
	}
	for part, code := range map[string]int{"ffffffff": exitError, "019aa": exitUsage, "refuses": exitUsage, "019aae04…ffff": exitError, "…": exitUsage} {
		if _, log, got := p.client("", "cancel", part); got != code {
			t.Errorf("%s: exit code %d, want %d: %s", part, got, code, log)
		}
	}
	if out := p.must("retry", "90e1f2"); !strings.Contains(out, one) {
		t.Error(out)
	}
}

// background starts a command of the node's environment.
func (p *process) background(args ...string) *process {
	p.t.Helper()
	q := &process{t: p.t, env: p.env, url: p.url}
	q.launch(args...)
	return q
}
