package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const canSubreap = true

func init() {
	programs["parent"] = func(args []string) { // arguments: kind of child, what to do after starting it
		cmd := exec.Command(os.Args[0])
		cmd.Env = childEnv("hang")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.ExtraFiles = []*os.File{events()}
		attr := &syscall.SysProcAttr{}
		switch args[0] {
		case "group":
			attr.Setpgid = true
		case "session":
			attr.Setsid = true
		case "daemon", "unmarked daemon", "group daemon": // without environment and pipes, in another group
			attr.Setsid, attr.Setpgid = args[0] != "group daemon", args[0] == "group daemon"
			cmd = exec.Command("/bin/sleep", "600")
			cmd.Env = []string{}
			if args[0] == "unmarked daemon" {
				unmark()
			}
		}
		cmd.SysProcAttr = attr
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		fmt.Println(cmd.Process.Pid)
		fmt.Fprintln(events(), cmd.Process.Pid)
		if args[1] == "hang" {
			hang()
		}
	}
	programs["fork"] = func(args []string) { // a chain of sessions, of which the last process prints its id
		n := number(args, 0)
		if n == 0 {
			fmt.Println(os.Getpid())
			_ = os.Stdout.Close()
			hang()
		}
		cmd := exec.Command(os.Args[0], fmt.Sprint(n-1))
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if out, err := cmd.StdoutPipe(); err == nil && cmd.Start() == nil {
			_, _ = io.Copy(os.Stdout, out)
		}
		_ = os.Stdout.Close()
	}
	programs["node"] = func(args []string) { // arguments: whether to call Subreap, program, its arguments
		if args[0] == "subreap" {
			if err := Subreap(); err != nil {
				panic(err)
			}
		}
		exe, _ := os.Executable()
		spec := Spec{Path: exe, Args: args[2:], Env: childEnv(args[1])}
		switch args[1] {
		case "ls":
			spec.Path, spec.Args = "/bin/ls", []string{"/proc/self/fd"}
		case "sh":
			spec.Path, spec.Args = "/bin/sh", []string{"-c", args[2]}
		}
		spec.OnStart = func(pid int) {
			if args[1] == "hang" {
				fmt.Println(pid)
			}
		}
		exit, err := Run(context.Background(), spec)
		if err != nil {
			panic(err)
		}
		_, _ = os.Stdout.Write(exit.Stdout)
		if slices.Equal(args, []string{"plain", "parent", "plain", "exit"}) {
			orphan, _ := strconv.Atoi(strings.TrimSpace(string(exit.Stdout)))
			for end := time.Now().Add(10 * time.Second); alive(orphan); time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					return
				}
			}
			fmt.Println("gone")
		}
	}
}

// The kernel gives orphans to the main thread. This program starts its own
// children from there, too.
func init() {
	if os.Getenv(childVar) == "unrelated children" {
		runtime.LockOSThread()
	}
	programs["unrelated children"] = func([]string) {
		if err := Subreap(); err != nil {
			panic(err)
		}
		living, dead := exec.Command("/bin/sleep", "600"), exec.Command("/bin/sh", "-c", "exit 5")
		dead.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := errors.Join(living.Start(), dead.Start()); err != nil {
			panic(err)
		}
		for s, ok := readStat(dead.Process.Pid); !ok || !s.dead(); s, ok = readStat(dead.Process.Pid) {
			time.Sleep(time.Millisecond)
		}
		for range 5 {
			if _, err := Run(context.Background(), Spec{Path: "/bin/true"}); err != nil {
				panic(err)
			}
		}
		if !slices.Contains(adopted(), living.Process.Pid) || !alive(living.Process.Pid) {
			panic("the living child is not there")
		}
		_ = living.Process.Kill()
		fmt.Printf("%v, %v\n", living.Wait(), dead.Wait())
	}
}

// unmark removes the mark from this process.
func unmark() {
	var limit unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_LOCKS, nil, &limit); err != nil {
		panic(err)
	}
	limit.Cur = limit.Max
	if err := unix.Prlimit(0, unix.RLIMIT_LOCKS, &limit, nil); err != nil {
		panic(err)
	}
}

func alive(pid int) bool {
	s, ok := readStat(pid)
	return ok && !s.dead()
}

// When Run returns, all descendants are dead and reaped.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, bare bool) {
		for _, how := range []string{"plain", "group", "session", "daemon", "unmarked daemon", "group daemon"} {
			for _, then := range []string{"exit", "hang"} {
				t.Run(how+" "+then, func(t *testing.T) {
					t.Parallel()
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					spec := child(t, "parent", how, then)
					if then == "hang" {
						spec.Event = func([]byte) { cancel() }
					}
					exit, err := runIn(bare)(ctx, spec)
					if err != nil || exit.Cancelled != (then == "hang") || exit.Escaped != 0 {
						t.Errorf("%+v, %v", exit, err)
					}
					if s, there := readStat(pid(t, exit.Stdout)); there {
						t.Errorf("its child is there: %+v", s)
					}
				})
			}
		}
		t.Run("chain", func(t *testing.T) {
			t.Parallel()
			if exit := mustRunIn(t, bare, child(t, "fork", "4")); alive(pid(t, exit.Stdout)) {
				t.Error("the last of the chain is alive")
			}
		})
	})
}

// A daemon lives as long as its program, while other programs start and end.
func TestDaemonOfARunningProgram(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, bare bool) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		daemons, ended := make(chan int, 1), make(chan Exit)
		go func() {
			exit, err := runIn(bare)(ctx, Spec{
				Path: "/bin/sh", Args: []string{"-c", `(setsid env -i /bin/sh -c 'echo $$ >&3; exec sleep 600' >/dev/null 2>&1 &); sleep 600`},
				Env: []string{"PATH=/usr/bin:/bin"}, Event: func(line []byte) { daemons <- pid(t, line) },
			})
			if err != nil {
				t.Error(err)
			}
			ended <- exit
		}()
		daemon := <-daemons
		for _, how := range []string{"daemon", "plain"} {
			other := pid(t, mustRunIn(t, bare, child(t, "parent", how, "exit")).Stdout)
			if alive(other) || !alive(daemon) {
				t.Errorf("%s: the other's is alive: %v; the daemon: %v", how, alive(other), alive(daemon))
			}
		}
		cancel()
		<-ended
		if s, there := readStat(daemon); there {
			t.Errorf("the daemon is there: %+v", s)
		}
	})
}

// Run leaves children alone that other parts of the process started.
func TestUnrelatedChildren(t *testing.T) {
	t.Parallel()
	if exit := mustRun(t, child(t, "unrelated children")); exit.Code != 0 || string(exit.Stdout) != "signal: killed, exit status 5\n" {
		t.Errorf("%+v: %s", exit, exit.Stdout)
	}
}

// A stopped program continues to receive SIGTERM.
func TestStopped(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	exit, err := Run(ctx, Spec{Path: "/bin/sleep", Args: []string{"600"}, Grace: time.Hour, OnStart: func(pid int) {
		_ = unix.Kill(pid, unix.SIGSTOP)
		until(t, "it is stopped", func() bool { s, ok := readStat(pid); return ok && s.state == 'T' })
		cancel()
	}})
	if err != nil || exit.Signal != syscall.SIGTERM || !exit.Cancelled {
		t.Errorf("%+v, %v", exit, err)
	}
}

// The process group ends with its leader, also without Subreap.
func TestGroupEnds(t *testing.T) {
	t.Parallel()
	if exit := mustRun(t, child(t, "node", "plain", "parent", "plain", "exit")); !strings.HasSuffix(string(exit.Stdout), "gone\n") {
		t.Errorf("%+v: %s", exit, exit.Stdout)
	}
}

// Without Subreap, a process that left the session and holds the pipes delays
// Run only for a while. No other test may run at the same time.
func TestWithoutSubreap(t *testing.T) {
	exit := mustRun(t, child(t, "node", "plain", "parent", "session", "exit"))
	// The node of this test is dead. This process adopted what it left, which
	// bears the mark of this run.
	if exit.Code != 0 || exit.Escaped != 0 || alive(pid(t, exit.Stdout)) {
		t.Errorf("%+v", exit)
	}
}

// The programs of a node die with it.
func TestParentDeath(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "subreap", "hang")
	cmd.Env = childEnv("node")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var program int
	if _, err := fmt.Fscan(out, &program); err != nil {
		t.Fatal(err)
	}
	if !alive(program) {
		t.Error("the program is not alive")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	until(t, "the program is dead", func() bool { return !alive(program) })
	_, _ = unix.Wait4(program, nil, 0, nil) // this process adopted it
}

// A program has no terminal, even if the node has one. A program that reads
// from the terminal would be stopped.
func TestNoTerminal(t *testing.T) {
	t.Parallel()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer keyboard.Close()
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), exe, "subreap", "sh", "(read x </dev/tty) 2>/dev/null; echo $?; ps -o tty= -p $$; (setsid true; read x </dev/tty) 2>/dev/null; echo $?")
	cmd.Env = childEnv("node")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, &out, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(out.String())
	if len(got) != 3 || got[0] == "0" || got[1] != "?" || got[2] == "0" {
		t.Errorf("%q", got)
	}
}

// A program's children cannot gain privileges.
func TestNoNewPrivileges(t *testing.T) {
	t.Parallel()
	exit := mustRun(t, Spec{Path: "/bin/sh", Args: []string{"-c", "grep NoNewPrivs /proc/self/status; exit 0"}, Env: []string{"PATH=/usr/bin:/bin"}})
	if got := strings.Fields(string(exit.Stdout)); len(got) != 2 || got[1] != "1" {
		t.Errorf("%q", exit.Stdout)
	}
}

// Programs do not inherit the descriptors that the node was started with.
func TestNoOtherDescriptors(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "plain", "ls")
	cmd.Env = childEnv("node")
	for range 5 {
		cmd.ExtraFiles = append(cmd.ExtraFiles, os.Stdin)
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(string(out)); len(got) != 5 { // ls itself opens one
		t.Errorf("descriptors %v", got)
	}
}

func TestKillByEnvironment(t *testing.T) {
	t.Parallel()
	entry := fmt.Sprintf("PROCESS_TEST_ENTRY=%d", rand.Uint64())
	ended := make(chan Exit)
	started := make(chan struct{})
	go func() {
		exit, err := Run(context.Background(), Spec{
			Path: "/bin/sleep", Args: []string{"600"}, Env: []string{entry},
			OnStart: func(int) { close(started) },
		})
		if err != nil {
			t.Error(err)
		}
		ended <- exit
	}()
	<-started
	if n, err := KillByEnvironment(t.Context(), entry+"0"); n != 0 || err != nil {
		t.Errorf("another entry: %d, %v", n, err)
	}
	if n, err := KillByEnvironment(t.Context(), entry); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if exit := <-ended; exit.Signal != syscall.SIGKILL || exit.Cancelled {
		t.Errorf("%+v", exit)
	}
}

// Without a pidfd, exitFD reports the end of a process and does not reap it.
func TestExitWithoutPidfd(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "/bin/cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fd, err := exitFD(cmd.Process.Pid, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if poll(fds, 50*time.Millisecond); fds[0].Revents != 0 {
		t.Error("it is said to have ended")
	}
	_ = in.Close()
	until(t, "its end is noticed", func() bool { poll(fds, time.Second); return fds[0].Revents != 0 })
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// Programs that run at the same time, some with orphans and some cancelled,
// each get their own exit and output.
func TestMany(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 25 {
				code := (w*31 + i) % 200
				script := fmt.Sprintf("cat; exit %d", code)
				if i%5 == 0 {
					script = "setsid sleep 600 >/dev/null 2>&1 3>&1 & " + script
				}
				in := bytes.Repeat([]byte{byte('a' + w)}, 5000+i)
				ctx, cancel := context.WithCancel(t.Context())
				if i%7 == 6 {
					time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, cancel)
				}
				exit, err := Run(ctx, Spec{Path: "/bin/sh", Args: []string{"-c", script}, Stdin: in, Env: []string{"PATH=/usr/bin:/bin"}})
				cancel()
				switch {
				case exit.Cancelled || ctx.Err() != nil && err != nil:
				case err != nil || exit.Code != code || !bytes.Equal(exit.Stdout, in) || exit.Escaped != 0:
					t.Errorf("%v: code %d, want %d; %d bytes; %d escaped", err, exit.Code, code, len(exit.Stdout), exit.Escaped)
				}
			}
		})
	}
	wg.Wait()
}

// MaxRSS does not include memory that the program shared with this process at
// its start.
func TestMaxRSS(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	exit, err := Run(ctx, Spec{Path: "/bin/sleep", Args: []string{"600"}, OnStart: func(pid int) {
		until(t, "it has memory of its own", func() bool { return peakMemory(pid) > 0 })
		cancel()
	}})
	if err != nil || exit.MaxRSS <= 0 || exit.MaxRSS > 8<<20 {
		t.Errorf("%+v, %v", exit, err)
	}
}

func FuzzReadStat(f *testing.F) {
	f.Add("1 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21")
	f.Add("")
	f.Add(")")
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = parseStat([]byte(text))
		_ = parsePeakMemory([]byte(text))
	})
}
