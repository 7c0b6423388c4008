package jobstest

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/jobs"
)

// Fake is a fake beanstalkd and a fake node in the test's own process. It records what
// is enqueued and runs nothing: the test says what becomes of each job. Its methods are
// safe for concurrent use. It listens on loopback, so that it is not for a bubble of
// testing/synctest.
type Fake struct {
	// Client is connected to the fake and is closed with it.
	Client *jobs.Client
	// URL is the address of the fake node. Result URLs begin with it.
	URL string

	tb       testing.TB
	token    string
	jobs     *recordedJobs
	queue    *fakeBeanstalkd
	node     *httptest.Server
	ended    chan struct{}
	refusals refusals
	runs     sync.WaitGroup // of functions that the test has given to Handle

	mu       sync.Mutex
	down     bool
	urlKey   []byte
	handlers map[string]func(jobs.Job) (any, error)
}

// clientsRest is how long a client at most does not try a server that has failed.
const clientsRest = 250 * time.Millisecond

// NewFake returns a fake, which ends with the test. That takes a millisecond.
func NewFake(tb testing.TB) *Fake {
	tb.Helper()
	f := &Fake{
		tb: tb, token: "jobstest-" + jobs.NewID(), jobs: newRecordedJobs(),
		ended: make(chan struct{}), handlers: map[string]func(jobs.Job) (any, error){},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("jobstest: %v", err)
	}
	f.queue = &fakeBeanstalkd{listener: listener, put: f.put, isDown: f.isDown}
	f.queue.run()
	node := &fakeNode{jobs: f.jobs, record: f.record, isDown: f.isDown, urlKey: f.key, token: f.token, ended: f.ended}
	f.node = httptest.NewUnstartedServer(node.handler())
	f.node.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	f.node.Start()
	f.URL, f.jobs.base = f.node.URL, f.node.URL
	if f.Client, err = jobs.New(f.Config()); err != nil {
		tb.Fatalf("jobstest: %v", err)
	}
	tb.Cleanup(f.close)
	return f
}

// Config returns the configuration of a client of the fake, for code under test that
// makes its own. FailNext needs its Wrap.
func (f *Fake) Config() jobs.Config {
	return jobs.Config{
		Beanstalkd: []string{f.queue.addr()}, BaseURL: f.URL, Token: f.token,
		Logger: slog.New(slog.DiscardHandler), // outages are what tests ask for
		Wrap:   f.refusals.wrap,
	}
}

func (f *Fake) close() {
	close(f.ended)
	if err := f.Client.Close(); err != nil {
		f.tb.Errorf("jobstest: the client was closed with %v", err)
	}
	f.queue.close()
	f.node.Close()
	f.runs.Wait()
}

// RequireEnqueued returns the jobs of a program in the order in which they came. The
// test fails at once, with a list of what was enqueued, unless they are n. A job that
// was enqueued twice under one id is one job. It waits for nothing: Enqueue returns
// after the fake has recorded the job.
func (f *Fake) RequireEnqueued(tb testing.TB, program string, n int) []jobs.Job {
	tb.Helper()
	all := f.jobs.all()
	var found []jobs.Job
	for _, job := range all {
		if job.Program == program {
			found = append(found, job)
		}
	}
	if len(found) != n {
		tb.Fatalf("jobstest: %d jobs of %s were enqueued, want %d. %s", len(found), program, n, describe(all))
	}
	return found
}

// RequireNone fails the test if a job was enqueued.
func (f *Fake) RequireNone(tb testing.TB) {
	tb.Helper()
	if all := f.jobs.all(); len(all) > 0 {
		tb.Fatalf("jobstest: want no job. %s", describe(all))
	}
}

// describe lists jobs for a person.
func describe(all []jobs.Job) string {
	const most, widest = 20, 200
	if len(all) == 0 {
		return "Nothing was enqueued."
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Enqueued were %d:", len(all))
	for i, job := range all {
		if i == most {
			fmt.Fprintf(&b, "\n  and %d more", len(all)-most)
			break
		}
		input := job.Input.URL
		if input == "" {
			input = string(job.Input.Data)
		}
		fmt.Fprintf(&b, "\n  %s %s %.*s", job.Program, job.ID, widest, input)
	}
	return b.String()
}

// Progress makes a job run, and report how far it is, from 0 to 1, and a message.
func (f *Fake) Progress(id string, progress float64, message string) {
	f.tb.Helper()
	f.change(id, func(res *jobs.Result) {
		running(res)
		res.Progress, res.Message = &progress, message
	})
}

// Succeed ends a job with a result, which encoding/json writes.
func (f *Fake) Succeed(id string, result any) {
	f.tb.Helper()
	text, err := json.Marshal(result)
	if err != nil {
		f.tb.Errorf("jobstest: result of job %s: %v", id, err)
		return
	}
	f.change(id, func(res *jobs.Result) {
		ended(res, jobs.Succeeded)
		res.Result = text
	})
}

// Fail ends a job as a program does that exits with 65 and a message.
func (f *Fake) Fail(id, message string) {
	f.tb.Helper()
	f.change(id, func(res *jobs.Result) {
		ended(res, jobs.Failed)
		res.Error = &jobs.Error{Class: jobs.OutcomeFailed, Message: message}
	})
}

// change reports a mistake of the test with Errorf, which any goroutine may call.
func (f *Fake) change(id string, next func(*jobs.Result)) {
	f.tb.Helper()
	if _, err := f.jobs.change(id, []jobs.State{jobs.Waiting, jobs.Queued, jobs.Running}, next); err != nil {
		f.tb.Errorf("jobstest: %v. %s", err, describe(f.jobs.all()))
	}
}

// Handle runs each job of a program that comes from now on with a function, in a
// goroutine, for code under test that enqueues a job and waits for its result. The job
// succeeds with what the function returns, or fails with its error.
func (f *Fake) Handle(program string, run func(jobs.Job) (any, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handlers[program] = run
}

// FailNext makes the next n calls of Enqueue or EnqueueBatch fail with an error of package
// jobs, such as [jobs.ErrOverloaded]. With [jobs.ErrMaybePut] the jobs are put, and only the
// answer is lost. n = 0 ends it.
func (f *Fake) FailNext(n int, err error) { f.refusals.set(n, err) }

// SetDown ends all connections and lets nobody in, or lets them in again. It then returns
// when clients try again: they leave a server alone for a quarter of a second at most.
func (f *Fake) SetDown(down bool) {
	f.mu.Lock()
	was := f.down
	f.down = down
	f.mu.Unlock()
	if down {
		f.queue.cut()
		f.node.CloseClientConnections()
	} else if was {
		time.Sleep(clientsRest)
	}
}

// RequireSignedURLs makes the fake node refuse result URLs that are not signed with a
// key by [jobs.SignURL], as a node does with RUNNERBEAN_RESULTS=signed.
func (f *Fake) RequireSignedURLs(key []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.urlKey = key
}

func (f *Fake) isDown() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.down
}

func (f *Fake) key() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.urlKey
}

// put takes a message of the inbox, a document or an array of documents.
func (f *Fake) put(tube string, body []byte) {
	if !strings.HasSuffix(tube, "/inbox") {
		f.tb.Errorf("jobstest: a message came on the tube %s, where no node looks for documents", tube)
		return
	}
	documents := []json.RawMessage{body}
	if len(body) > 0 && body[0] == '[' {
		if err := json.Unmarshal(body, &documents); err != nil {
			f.tb.Errorf("jobstest: a node would refuse this array of documents: %v\n%s", err, body)
		}
	}
	for _, document := range documents {
		if _, _, err := f.record(document); err != nil {
			f.tb.Errorf("jobstest: a node would refuse this document: %v\n%s", err, document)
		}
	}
}

// record records a document, which it reads as strictly as a node does.
func (f *Fake) record(document []byte) (job jobs.Job, isNew bool, err error) {
	if job, err = jobdoc.Decode(document); err != nil {
		return job, false, err
	}
	if isNew, err = f.jobs.add(document, job); err == nil && isNew {
		f.handle(job)
	}
	return job, isNew, err
}

// handle starts the function of the job's program, if there is one.
func (f *Fake) handle(job jobs.Job) {
	f.mu.Lock()
	run := f.handlers[job.Program]
	f.mu.Unlock()
	if run == nil {
		return
	}
	f.runs.Go(func() {
		result, err := run(job)
		if err != nil {
			f.Fail(job.ID, err.Error())
			return
		}
		f.Succeed(job.ID, result)
	})
}
