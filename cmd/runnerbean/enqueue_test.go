package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
)

// installEnqueuer adds a program that may enqueue others.
func (p *process) installEnqueuer(name, script, programs string) {
	p.t.Helper()
	folder := filepath.Join(p.setting("PROGRAMS"), name)
	if err := os.Mkdir(folder, 0o755); err != nil {
		p.t.Fatal(err)
	}
	write(p.t, filepath.Join(folder, "program.json"), `{"enqueue":[`+programs+`]}`)
	write(p.t, filepath.Join(folder, "run"), "#!/bin/sh\n"+script+"\n")
}

// TestProgramsMakeJobs runs a pipeline: a program makes five jobs and one that needs them. Its
// node is killed meanwhile; each job is there once.
func TestProgramsMakeJobs(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	p.install("parse", `cat`)
	p.install("total", `cat >/dev/null; grep -ho '"result":[0-9]*' inputs/needs/*/result.json | awk -F: '{ sum += $2 } END { print sum }'`)
	p.installEnqueuer("crawl", `cat >/dev/null
for n in 1 2 3 4 5; do echo "{\"enqueue\":{\"key\":\"page $n\",\"program\":\"parse\",\"input\":{\"data\":$n}}}" >&3; [ "$RUNNERBEAN_ATTEMPT-$n" = 1-2 ] && sleep 600; done
echo '{"enqueue":{"key":"total","program":"total","input":{"data":0},"needs":["key:page 1","key:page 2","key:page 3","key:page 4","key:page 5"]}}' >&3
echo 5`, `"parse","total"`)
	p.until("the programs", func() bool { return strings.Contains(p.text("/api/v1/programs"), `"crawl"`) })
	id := idOf(p.submit("crawl", "1"))
	child := func(key string) string { return p.url + "/" + jobs.DerivedID(id, "enqueue/"+key) }
	p.until("the second page", func() bool { _, ok := p.get(child("page 2")); return ok })
	p.end(syscall.SIGKILL)
	p.start("worker")
	if r := p.final(p.url + "/" + id); r.State != jobs.Succeeded || r.Attempt != 2 {
		t.Errorf("%+v", r)
	}
	if r := p.final(child("total")); string(r.Result) != "15" {
		t.Errorf("%+v", r)
	}
	var list struct{ Jobs []struct{ ID string } }
	p.api("/api/v1/jobs?label=family="+id, &list)
	if len(list.Jobs) != 6 {
		t.Errorf("the family has %d jobs", len(list.Jobs))
	}
	stage := regexp.MustCompile(`program=parse">parse</a></td>(<td class="r">0</td>){3}<td class="r">5</td>`)
	for _, job := range []string{id, jobs.DerivedID(id, "enqueue/total")} {
		page := p.textAs("", "/jobs/"+job)
		if !stage.MatchString(page) || strings.Contains(page, "Made by job") != (job != id) {
			t.Errorf("the page of %s has no pipeline: %s", job, page)
		}
	}
}

// TestRefusedEnqueue fails jobs whose programs ask for what they may not have, and ends a loop.
func TestRefusedEnqueue(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	event := func(enqueue string) string {
		return fmt.Sprintf("cat >/dev/null; echo '{\"enqueue\":%s}' >&3; echo 1", enqueue)
	}
	p.installEnqueuer("other", event(`{"key":"a","program":"cat","input":{"data":1}}`), `"loop"`)
	p.installEnqueuer("faulty", event(`{"key":"a","program":"cat","input":{"data":1},"attempts":0}`), `"cat"`)
	p.installEnqueuer("absent", event(`{"key":"a","program":"nowhere","input":{"data":1}}`), `"nowhere"`)
	p.installEnqueuer("loop", event(`{"key":"a","program":"loop","input":{"data":1}}`), `"loop"`)
	p.until("the programs", func() bool { return strings.Contains(p.text("/api/v1/programs"), `"loop"`) })
	for program, want := range map[string]string{
		"other":  `program "cat" is not in enqueue of the program.json of other`,
		"faulty": "attempts must be at least 1",
		"absent": `no node has ever had a program "nowhere"`,
	} {
		if r := p.final(p.submit(program, "1")); r.State != jobs.Failed || !strings.Contains(r.Error.Message, want) {
			t.Errorf("%s: %+v, %+v", program, r, r.Error)
		}
	}
	id := idOf(p.submit("loop", "1"))
	first := id
	for range 16 {
		if r := p.final(p.url + "/" + id); r.State != jobs.Succeeded {
			t.Fatalf("%+v", r)
		}
		id = jobs.DerivedID(id, "enqueue/a")
	}
	if r := p.final(p.url + "/" + id); r.State != jobs.Failed || !strings.Contains(r.Error.Message, "16 jobs are above this one") {
		t.Errorf("%+v", r.Error)
	}
	if r, ok := p.get(p.url + "/" + jobs.DerivedID(id, "enqueue/a")); ok {
		t.Errorf("%+v of %s", r, first)
	}
}
