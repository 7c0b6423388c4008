package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// life is how long a process lives if nobody kills it.
const life = 30 * time.Second

// hostileTask is the input of a hostile program.
type hostileTask struct {
	Mode string `json:"mode"`
	N    int    `json:"n"` // random
}

// modes are the kinds of hostile programs.
var modes = []string{
	"session", "daemon", "regroup", "cleared", "holder", "bomb", "chain", "deaf", "deaf-child", "asleep",
	"flood-out", "flood-err", "flood-events", "code", "signal", "garbage", "two-values", "silent", "hog", "hung", "fill", "mess",
}

// hostile does what its mode says. Most modes leave children behind and exit
// with 0.
func hostile(c testbed.Call) int {
	var t hostileTask
	if err := json.Unmarshal(c.Input, &t); err != nil {
		return 65
	}
	time.AfterFunc(life, func() { os.Exit(3) })
	if end, ok := ends[t.Mode]; ok {
		return end(t.N)
	}
	if start, ok := leaves[t.Mode]; ok {
		start(c.ID)
	}
	fmt.Println(`{"mode":"` + t.Mode + `"}`)
	return 0
}

// leaves are what hostile programs do before they exit with 0.
var leaves = map[string]func(id string){
	"session":      func(id string) { spawn("sleep", id, &syscall.SysProcAttr{Setsid: true}, os.Environ()) },
	"daemon":       func(id string) { wait(spawn("orphan", id, &syscall.SysProcAttr{Setsid: true}, []string{})) },
	"regroup":      func(id string) { spawn("sleep", id, &syscall.SysProcAttr{Setpgid: true}, os.Environ()) },
	"cleared":      func(id string) { spawn("sleep", id, nil, []string{}) },
	"holder":       func(id string) { spawn("holder", id, &syscall.SysProcAttr{Setsid: true}, os.Environ()) },
	"bomb":         func(id string) { spawn("bomb5", id, nil, os.Environ()) },
	"chain":        func(id string) { spawn("chain", id, &syscall.SysProcAttr{Setsid: true}, os.Environ()) },
	"deaf-child":   func(id string) { spawn("deaf", id, nil, os.Environ()) },
	"flood-err":    func(string) { flood(os.Stderr, 32<<20) },
	"flood-events": func(string) { flood(os.NewFile(3, "events"), 256<<10) }, // the node limits their rate
	"mess":         func(string) { mess() },
}

// ends are the modes with another end.
var ends = map[string]func(n int) int{
	"deaf": func(int) int {
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		time.Sleep(life)
		return 0
	},
	"asleep": func(int) int {
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		time.Sleep(life)
		return 0
	},
	"flood-out":  func(int) int { flood(os.Stdout, 1<<30); return 0 },
	"code":       func(n int) int { return 1 + n%255 },
	"signal":     func(n int) int { return dieBy(n) },
	"garbage":    func(int) int { fmt.Println(`{"a":1,"a":`); return 0 },
	"two-values": func(int) int { fmt.Println(`1 2`); return 0 },
	"silent":     func(int) int { return 0 },
	"hog":        func(int) int { return hog() },
	"hung":       func(int) int { time.Sleep(life); return 0 },
	"fill":       func(int) int { return fill() },
}

// spawn starts a child with the job's id on its command line.
func spawn(mode, id string, attr *syscall.SysProcAttr, env []string) *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(exe, hostileChild, mode, id)
	cmd.Env, cmd.SysProcAttr = env, attr
	if mode == "holder" {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.ExtraFiles = []*os.File{os.NewFile(3, "events")}
	}
	if err := cmd.Start(); err != nil && mode != "bomb" {
		fmt.Fprintln(os.Stderr, err)
	}
	return cmd
}

func wait(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = cmd.Wait()
	}
}

// hostileChild is the first argument of a child that a hostile program left
// behind. Its environment may be empty.
const hostileChild = "hostile"

// runHostileChild does what the child's mode says.
func runHostileChild(mode, id string) {
	time.AfterFunc(life, func() { os.Exit(3) })
	switch mode {
	case "orphan": // its child has no parent
		spawn("sleep", id, &syscall.SysProcAttr{Setsid: true}, []string{})
		return
	case "chain":
		chain(id)
		return
	case "deaf":
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
	}
	if depth, ok := strings.CutPrefix(mode, "bomb"); ok {
		if n, _ := strconv.Atoi(depth); n > 0 {
			spawn("bomb"+strconv.Itoa(n-1), id, nil, os.Environ())
			spawn("bomb"+strconv.Itoa(n-1), id, &syscall.SysProcAttr{Setsid: true}, os.Environ())
		}
	}
	time.Sleep(life)
}

// chain starts its successor in a new session and exits. The chain ends after
// some seconds.
func chain(id string) {
	began := time.Now()
	if text := os.Getenv("CHAIN_BEGAN"); text != "" {
		n, _ := strconv.ParseInt(text, 10, 64)
		began = time.Unix(0, n)
	}
	if time.Since(began) < 5*time.Second {
		env := append(os.Environ(), "CHAIN_BEGAN="+strconv.FormatInt(began.UnixNano(), 10))
		spawn("chain", id, &syscall.SysProcAttr{Setsid: true}, env)
	}
}

func flood(w io.Writer, n int) {
	line := bytes.Repeat([]byte("all work and no play makes a dull log\n"), 2000)
	for sum := 0; sum < n; sum += len(line) {
		if _, err := w.Write(line); err != nil {
			return
		}
	}
}

func dieBy(n int) int {
	signals := []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT}
	sig := signals[n%len(signals)]
	if signal.Ignored(sig) { // inherited from nohup
		sig = syscall.SIGTERM
	}
	signal.Reset(sig)
	_ = syscall.Kill(os.Getpid(), sig)
	time.Sleep(life)
	return 0
}

// hog uses more memory than allowed.
func hog() int {
	var all [][]byte
	for range 64 {
		all = append(all, bytes.Repeat([]byte{1}, 16<<20))
		time.Sleep(5 * time.Millisecond)
	}
	fmt.Println(len(all))
	return 0
}

// fill writes more than the working folder may hold, and waits.
func fill() int {
	for i := range 64 {
		if err := os.WriteFile("tmp/big"+strconv.Itoa(i), make([]byte, 1<<20), 0o600); err != nil {
			return 1
		}
	}
	time.Sleep(life)
	return 0
}

// mess leaves files and folders that are hard to remove.
func mess() {
	path := "tmp"
	for range 60 {
		path = filepath.Join(path, strings.Repeat("d", 30))
		_ = os.Mkdir(path, 0o700)
	}
	_ = os.WriteFile("tmp/x", nil, 0)
	_ = os.MkdirAll("checkpoint/locked/in", 0o700)
	_ = os.Symlink("/etc/passwd", "out/passwd")
	_ = syscall.Mkfifo("out/fifo", 0o600)
	_ = os.Chmod("checkpoint/locked", 0)
}
