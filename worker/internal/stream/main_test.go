package stream

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/worker/internal/process"
)

// childVar makes the test binary a stream program. Its value is what it does at its start.
const childVar = "STREAM_TEST_CHILD"

func TestMain(m *testing.M) {
	if start := os.Getenv(childVar); start != "" {
		child(start)
	}
	_ = process.Subreap() // fails where it is not possible
	goleak.VerifyTestMain(m)
}

// request is a job as the child gets it.
type request struct {
	ID, Inputs, Out string
	Attempt         int
	Input           string // what to do
}

// result is what the child answers.
type result struct {
	PID, N, Other int
}

// child reads jobs and does what their inputs say.
func child(start string) {
	switch start {
	case "banner":
		fmt.Println("loading the model")
		mark("ready")
	case "exit":
		os.Exit(3)
	case "stays":
		signalIgnore()
	}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	c := &served{events: os.NewFile(3, "events")}
	for {
		line, err := in.ReadString('\n')
		if err != nil && start == "stays" {
			hang()
		} else if err != nil {
			os.Exit(0)
		}
		var r request
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			panic(err)
		}
		c.n++
		what, arg, _ := strings.Cut(r.Input, " ")
		acts[what](c, r, arg)
	}
}

// served is the state of the child.
type served struct {
	events *os.File
	n      int
}

// answer returns a good answer to a job.
func (c *served) answer(id string, other int) string {
	text, _ := json.Marshal(map[string]any{"id": id, "result": result{os.Getpid(), c.n, other}})
	return string(text) + "\n"
}

func (c *served) ok(r request) { _, _ = io.WriteString(os.Stdout, c.answer(r.ID, 0)) }

// hang sleeps for longer than any test.
func hang() { time.Sleep(10 * time.Minute) }

// mark makes a file in the working directory, and await waits for one.
func mark(name string) {
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		panic(err)
	}
}

func await(name string) {
	for {
		if _, err := os.Stat(name); err == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// later is what "then" does once its job has ended.
var later = map[string]func(c *served, r request){
	"event": func(c *served, r request) {
		fmt.Fprintf(c.events, "{\"id\":%q,\"progress\":1}\n", r.ID)
		fmt.Fprintln(os.Stderr, "late")
	},
	"print": func(*served, request) { fmt.Println("late") },
	"fill":  func(*served, request) { fill() },
	"shut":  func(*served, request) { os.Stdout.Close() },
	"deaf":  func(*served, request) { os.Stdin.Close() },
}

func fill() {
	for i := range 8 {
		_ = os.WriteFile(fmt.Sprint("file", i), make([]byte, 512<<10), 0o600)
	}
}

var acts = map[string]func(c *served, r request, arg string){
	"ok":    func(c *served, r request, _ string) { c.ok(r) },
	"error": func(_ *served, r request, _ string) { fmt.Printf(`{"id":%q,"error":{"message":"no"}}`+"\n", r.ID) },
	"final": func(_ *served, r request, _ string) {
		fmt.Printf(`{"id":%q,"error":{"message":"no","final":true}}`+"\n", r.ID)
	},
	"print":  func(_ *served, _ request, arg string) { fmt.Println(arg); hang() },
	"hang":   func(*served, request, string) { hang() },
	"exit65": func(*served, request, string) { fmt.Fprintln(os.Stderr, "bad data"); os.Exit(65) },
	"exit0":  func(*served, request, string) { os.Exit(0) },
	"half": func(c *served, r request, _ string) {
		_, _ = io.WriteString(os.Stdout, c.answer(r.ID, 0)[:20])
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	},
	"twice": func(c *served, r request, _ string) {
		_, _ = io.WriteString(os.Stdout, c.answer(r.ID, 0)+c.answer(r.ID, 0))
	},
	"leave": func(c *served, r request, _ string) { c.ok(r); os.Exit(1) },
	// long writes an answer that takes several reads, and ends, while nobody reads.
	"long": func(_ *served, r request, _ string) {
		if _, err := unix.FcntlInt(os.Stdout.Fd(), unix.F_SETPIPE_SZ, 256<<10); err != nil {
			panic(err)
		}
		fmt.Fprintln(os.Stderr, "a line")
		await("go")
		fmt.Printf("{\"id\":%q,\"result\":{\"pid\":%d,\"fill\":%q}}\n", r.ID, os.Getpid(), strings.Repeat("x", 150<<10))
		os.Exit(1)
	},
	"huge": func(*served, request, string) {
		for {
			_, _ = io.WriteString(os.Stdout, strings.Repeat("x", 1<<16))
		}
	},
	"stdout": func(*served, request, string) { os.Stdout.Close(); hang() },
	"events": func(c *served, r request, _ string) {
		fmt.Fprintf(c.events, "{\"id\":%q,\"progress\":0.5}\n", r.ID)
		fmt.Fprintln(os.Stderr, "a line")
		c.ok(r)
	},
	"much": func(c *served, r request, _ string) {
		event := fmt.Sprintf("{\"id\":%q,\"fill\":%q}\n", r.ID, strings.Repeat("x", 4000))
		_, _ = io.WriteString(c.events, strings.Repeat(event, 12)) // fits into the pipe
		_, _ = io.WriteString(os.Stderr, strings.Repeat(strings.Repeat("y", 4000)+"\n", 12))
		c.ok(r)
	},
	"flood": func(c *served, r request, _ string) {
		go func() {
			for {
				if _, err := fmt.Fprintf(c.events, "{\"id\":%q}\n", r.ID); err != nil {
					return
				}
			}
		}()
		time.Sleep(10 * time.Millisecond)
		c.ok(r)
	},
	"memory": func(c *served, r request, _ string) {
		var all [][]byte
		for range 64 {
			b := make([]byte, 64<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			all = append(all, b)
		}
		c.ok(r)
		_ = all
	},
	"fill": func(*served, request, string) { fill(); hang() },
	"wait": func(c *served, r request, _ string) { await("go"); c.ok(r) },
	"then": func(c *served, r request, arg string) {
		c.ok(r)
		await("go")
		later[arg](c, r)
		mark("done")
		if arg == "deaf" {
			hang()
		}
	},
	"out": func(c *served, r request, arg string) {
		if err := os.WriteFile(r.Out+"/"+arg, []byte(arg), 0o600); err != nil {
			panic(err)
		}
		c.ok(r)
	},
	"noout": func(c *served, r request, _ string) {
		_ = os.Remove(r.Out)
		c.ok(r)
	},
	"descendant": func(c *served, r request, _ string) {
		cmd := exec.Command("sleep", "600")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		_, _ = io.WriteString(os.Stdout, c.answer(r.ID, cmd.Process.Pid))
	},
	"burn": func(c *served, r request, _ string) {
		for until := time.Now().Add(60 * time.Millisecond); time.Now().Before(until); {
		}
		c.ok(r)
	},
}
