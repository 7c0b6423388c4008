package jobs_test

import (
	"fmt"
	"log"
	"testing"

	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/jobs/jobstest"
)

// fake stands for beanstalkd and a node in the examples, which have no testing.T. It runs
// the program "forecast". Jobs of other programs stay queued.
var fake *jobstest.Fake

// exampleAddr is where beanstalkd listens, 127.0.0.1:11300 as a rule.
var exampleAddr string

func TestMain(m *testing.M) { goleak.VerifyTestMain(withFake{m}) }

// withFake runs tests beside the fake of the examples.
type withFake struct{ *testing.M }

func (m withFake) Run() int {
	tb := &mainTB{}
	defer tb.cleanup()
	fake = jobstest.NewFake(tb)
	fake.Handle("forecast", func(job jobs.Job) (any, error) {
		fake.Progress(job.ID, 0.4, "week 1")
		fake.Progress(job.ID, 0.8, "week 2")
		return map[string][]float64{"values": {24.9, 25.3}}, nil
	})
	exampleAddr = fake.Config().Beanstalkd[0]
	return m.M.Run()
}

// exampleClient returns a client of the fake. A web server makes one as the example of the
// package shows.
func exampleClient() *jobs.Client {
	client, err := jobs.New(fake.Config())
	if err != nil {
		log.Fatal(err)
	}
	return client
}

// mainTB is what NewFake needs of a test.
type mainTB struct {
	testing.TB
	after []func()
}

func (*mainTB) Helper()                      {}
func (tb *mainTB) Cleanup(f func())          { tb.after = append(tb.after, f) }
func (*mainTB) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }
func (*mainTB) Errorf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

func (tb *mainTB) cleanup() {
	for i := len(tb.after) - 1; i >= 0; i-- {
		tb.after[i]()
	}
	tb.after = nil
}
