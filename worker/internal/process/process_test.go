package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func init() {
	programs["exit"] = func(args []string) { os.Exit(number(args, 0)) }
	programs["signal"] = func(args []string) {
		_ = syscall.Kill(os.Getpid(), syscall.Signal(number(args, 0)))
		hang()
	}
	programs["echo"] = func([]string) { _, _ = io.Copy(os.Stdout, os.Stdin) }
	programs["deaf"] = func([]string) { // ignores SIGTERM
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ready")
		fmt.Fprintln(events(), "ready")
		hang()
	}
	programs["polite"] = func([]string) {
		terms := make(chan os.Signal, 1)
		signal.Notify(terms, syscall.SIGTERM)
		fmt.Fprintln(events(), "ready")
		<-terms
		fmt.Println("bye")
		os.Exit(3)
	}
	programs["closed"] = func([]string) {
		for fd := range 4 {
			_ = syscall.Close(fd)
		}
		hang()
	}
	programs["hang"] = func([]string) { hang() }
}

// events stays open for the life of a child: a finalizer would close descriptor
// 3.
var events = sync.OnceValue(func() *os.File { return os.NewFile(3, "events") })

func TestExit(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		spec   Spec
		code   int
		signal syscall.Signal
	}{
		"success":   {child(t, "exit", "0"), 0, 0},
		"one":       {child(t, "exit", "1"), 1, 0},
		"data":      {child(t, "exit", "65"), 65, 0},
		"highest":   {child(t, "exit", "255"), 255, 0},
		"killed":    {child(t, "signal", "9"), -1, syscall.SIGKILL},
		"asked":     {child(t, "signal", "15"), -1, syscall.SIGTERM},
		"no stdout": {Spec{Path: "/bin/true"}, 0, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exit := mustRun(t, c.spec)
			want := Exit{Code: c.code, Signal: c.signal, CPU: exit.CPU, Wall: exit.Wall, MaxRSS: exit.MaxRSS}
			if diff := cmp.Diff(want, exit); diff != "" {
				t.Error(diff)
			}
			if exit.Wall <= 0 {
				t.Error("it took no time")
			}
		})
	}
}

func TestNotStarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		spec Spec
		want error
	}{
		"absent":    {Spec{Path: filepath.Join(dir, "absent")}, fs.ErrNotExist},
		"a folder":  {Spec{Path: dir}, fs.ErrPermission},
		"no rights": {Spec{Path: text}, fs.ErrPermission},
		"no folder": {Spec{Path: "/bin/true", Dir: filepath.Join(dir, "absent")}, fs.ErrNotExist},
		"NUL":       {Spec{Path: "/bin/true", Args: []string{"a\x00b"}}, syscall.EINVAL},
	}
	for name, c := range cases {
		c.spec.OnStart = func(int) { t.Errorf("%s: was started", name) }
		if _, err := Run(t.Context(), c.spec); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("too late")
	cancel(why)
	if _, err := Run(ctx, Spec{Path: "/bin/true"}); !errors.Is(err, why) {
		t.Errorf("after the end of the context: %v", err)
	}
}

func TestWhatAProgramSees(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	started := 0
	exit := mustRun(t, Spec{
		Path: "/bin/sh", Name: "mine", Args: []string{"-c", `echo "$0 $1 $A $RUNNERBEAN_EVENTS $$ $(pwd -P)"`, "me", "arg"},
		Env: []string{"A=b c", "PATH=/usr/bin:/bin"}, Dir: dir, OnStart: func(pid int) { started = pid },
	})
	if want := fmt.Sprintf("me arg b c /dev/fd/3 %d %s\n", started, dir); string(exit.Stdout) != want {
		t.Errorf("got %q, want %q", exit.Stdout, want)
	}
}

// The environment is the caller's with EventsVar, which occurs once.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	exit := mustRun(t, Spec{Path: "/usr/bin/env", Env: []string{"A=b", EventsVar + "=not this", "C="}})
	lines := strings.Split(string(exit.Stdout), "\n")
	if diff := cmp.Diff([]string{"A=b", "C=", EventsVar + "=/dev/fd/3", ""}, lines); diff != "" {
		t.Error(diff)
	}
}

func TestStdin(t *testing.T) {
	t.Parallel()
	big := bytes.Repeat([]byte("0123456789abcdef"), 10<<20/16)
	for _, size := range []int{0, 1, 4096, 64 << 10, 64<<10 + 1, len(big)} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			spec := child(t, "echo")
			spec.Stdin = big[:size]
			if exit := mustRun(t, spec); !bytes.Equal(exit.Stdout, big[:size]) || exit.Code != 0 {
				t.Errorf("%d bytes came back, code %d", len(exit.Stdout), exit.Code)
			}
		})
	}
	t.Run("unread", func(t *testing.T) {
		t.Parallel()
		spec := child(t, "exit", "4")
		spec.Stdin = big
		if exit := mustRun(t, spec); exit.Code != 4 {
			t.Errorf("code %d", exit.Code)
		}
	})
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		f, err := os.Create(filepath.Join(t.TempDir(), "input"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString("skipped, read"); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Seek(9, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		spec := child(t, "echo")
		spec.StdinFile, spec.Stdin = f, []byte("not this")
		if exit := mustRun(t, spec); string(exit.Stdout) != "read" {
			t.Errorf("got %q", exit.Stdout)
		}
		if _, err := f.Stat(); err != nil {
			t.Errorf("the caller's file was closed: %v", err)
		}
	})
}

// whenReady runs a program and calls do at its first event.
func whenReady(t *testing.T, ctx context.Context, spec Spec, do func()) Exit {
	t.Helper()
	spec.Event = func(line []byte) {
		if string(line) != "ready" {
			t.Errorf("event %q", line)
		}
		do()
	}
	exit, err := Run(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	return exit
}

func TestCancel(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		code   int
		signal syscall.Signal
		grace  time.Duration
		stdout string
	}{
		"polite": {code: 3, grace: time.Minute, stdout: "bye\n"},
		"deaf":   {code: -1, signal: syscall.SIGKILL, grace: 20 * time.Millisecond, stdout: "ready\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			spec := child(t, name)
			spec.Grace = c.grace
			exit := whenReady(t, ctx, spec, cancel)
			want := Exit{
				Code: c.code, Signal: c.signal, Cancelled: true, Stdout: []byte(c.stdout),
				CPU: exit.CPU, Wall: exit.Wall, MaxRSS: exit.MaxRSS,
			}
			if diff := cmp.Diff(want, exit); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"hang", "closed", "deaf"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := child(t, name)
			spec.Timeout, spec.Grace = 300*time.Millisecond, 20*time.Millisecond
			exit := mustRun(t, spec)
			if !exit.TimedOut || exit.Cancelled || exit.Signal == 0 || exit.Code != -1 {
				t.Errorf("%+v", exit)
			}
		})
	}
}

// An Exit has one reason only.
func TestOneReason(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	spec := child(t, "deaf")
	spec.Timeout, spec.Grace = time.Second, 1500*time.Millisecond
	exit := whenReady(t, ctx, spec, cancel)
	if !exit.Cancelled || exit.TimedOut {
		t.Errorf("%+v", exit)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	exit := mustRun(t, Spec{Path: "/bin/sh", Args: []string{"-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"}})
	if exit.CPU <= 0 || exit.CPU > time.Minute || exit.Wall < exit.CPU/4 {
		t.Errorf("CPU %v, wall %v", exit.CPU, exit.Wall)
	}
	if exit.MaxRSS < 0 || exit.MaxRSS > 1<<30 {
		t.Errorf("%d bytes", exit.MaxRSS)
	}
}
