package jobs_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
)

// exampleAddr is the beanstalkd of the examples, which have no testing.T.
var exampleAddr string

func TestMain(m *testing.M) { goleak.VerifyTestMain(withBeanstalkd{m}) }

// withBeanstalkd runs tests beside a beanstalkd of the examples.
type withBeanstalkd struct{ *testing.M }

func (m withBeanstalkd) Run() int {
	tb := &mainTB{}
	defer tb.cleanup()
	exampleAddr = queuetest.Start(tb).Addr
	return m.M.Run()
}

// mainTB is what queuetest needs of a test.
type mainTB struct {
	testing.TB
	after []func()
}

func (*mainTB) Helper()             {}
func (tb *mainTB) Cleanup(f func()) { tb.after = append(tb.after, f) }

func (tb *mainTB) TempDir() string {
	dir, err := os.MkdirTemp("", "jobs")
	if err != nil {
		panic(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (*mainTB) Skip(args ...any)             { fmt.Fprintln(os.Stderr, args...); os.Exit(1) }
func (*mainTB) Fatal(args ...any)            { panic(fmt.Sprint(args...)) }
func (*mainTB) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }
func (*mainTB) Errorf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

func (tb *mainTB) cleanup() {
	for i := len(tb.after) - 1; i >= 0; i-- {
		tb.after[i]()
	}
	tb.after = nil
}
