package process

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/worker/internal/process/cgroup"
)

var block = bytes.Repeat([]byte("0123456789abcdef"), 640)

func catHere(bare bool) error {
	exit, err := runIn(bare)(context.Background(), Spec{
		Path: "/bin/cat", Stdin: block, Log: &Log{}, Event: func([]byte) {}, Timeout: time.Hour, Env: []string{"A=b"}, OpenFiles: 4096, Stall: time.Hour,
	})
	if err == nil && (exit.Code != 0 || !bytes.Equal(exit.Stdout, block)) {
		err = fmt.Errorf("%+v", exit)
	}
	return err
}

// catBare does the same with os/exec and three pipes.
func catBare() error {
	cmd := exec.Command("/bin/cat")
	cmd.Env = []string{"A=b"}
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(block), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return err
	}
	if !bytes.Equal(stdout.Bytes(), block) {
		return fmt.Errorf("%d bytes", stdout.Len())
	}
	return nil
}

// BenchmarkRun reports how fast Run is compared with os/exec. It alternates
// between them in short turns, so that other work on the machine affects both.
func BenchmarkRun(b *testing.B) {
	for _, c := range []struct {
		way      string
		parallel int
	}{{"cgroup", 1}, {"cgroup", 4}, {"bare", 1}, {"bare", 4}} {
		parallel := c.parallel
		b.Run(fmt.Sprint("cat/", c.way, "/parallel=", parallel), func(b *testing.B) {
			if c.way == "cgroup" && cgroup.Probe().Cgroup == "" {
				b.Skip("there are no cgroups")
			}
			var here, bare time.Duration
			const turn = 50
			for done := 0; done < b.N; done += turn {
				n := min(turn, b.N-done)
				bare += timed(b, n, parallel, catBare)
				here += timed(b, n, parallel, func() error { return catHere(c.way == "bare") })
			}
			b.ReportMetric(float64(b.N)/here.Seconds(), "runs/s")
			b.ReportMetric(float64(b.N)/bare.Seconds(), "bare/s")
			b.ReportMetric(bare.Seconds()/here.Seconds(), "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func timed(b *testing.B, n, parallel int, do func() error) time.Duration {
	begun := time.Now()
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := do(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begun)
}

// BenchmarkStderr measures how fast a program can write its log.
func BenchmarkStderr(b *testing.B) {
	const size = 256 << 20
	b.SetBytes(size)
	for b.Loop() {
		spec := child(b, "flood", "2", fmt.Sprint(size))
		spec.Log = &Log{}
		if exit := mustRun(b, spec); exit.Code != 0 {
			b.Fatalf("%+v", exit)
		}
	}
}

func BenchmarkLog(b *testing.B) {
	var l Log
	p := make([]byte, 64<<10)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		_, _ = l.Write(p)
	}
}
