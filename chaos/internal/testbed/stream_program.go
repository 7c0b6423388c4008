package testbed

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// StreamArgument calls this binary as a stream program.
const StreamArgument = "stream-program"

// streamJob is a line that a stream program reads.
type streamJob struct {
	ID      string
	Attempt int
	Input   Task
	Out     string
}

// InstallStream puts a stream program into the programs folder, and returns the path of
// its executable, which is of its own so that its processes can be found.
func (bed *Testbed) InstallStream(name, manifest string) (exe string, err error) {
	exe, err = bed.CopySelf(name + "-child")
	if err != nil {
		return "", err
	}
	folder, err := bed.Folder(filepath.Join("programs", name))
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(folder, "program.json"), []byte(manifest), 0o644); err != nil {
		return "", err
	}
	return exe, WriteProgram(filepath.Join(folder, "run"), "exec '"+exe+"' "+StreamArgument)
}

// CopySelf copies this binary into the folder of the scenario, and returns the path.
func (bed *Testbed) CopySelf(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(self)
	if err != nil {
		return "", err
	}
	path := filepath.Join(bed.Dir, name)
	return path, os.WriteFile(path, text, 0o755)
}

// RunStreamProgram runs one job after another, and returns the exit code. Half of all
// processes do not end when their input ends.
func RunStreamProgram() int {
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) && os.Getpid()%2 == 1 {
			time.Sleep(time.Hour)
		}
		if err != nil {
			return 0
		}
		if code := runStreamJob(line); code != 0 {
			return code
		}
	}
}

// runStreamJob does what Work does. A failure is an answer, an exit code, or half an
// answer. It returns an exit code; 0 takes the next job.
func runStreamJob(line []byte) int {
	var j streamJob
	if err := json.Unmarshal(line, &j); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 65
	}
	h, err := openHistory(j.Input.History)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 75
	}
	defer h.close()
	e := check.Event{What: check.Run, Who: nodeOf(j.Out), Job: j.ID, Attempt: j.Attempt, N: float64(os.Getpid())}
	h.Note(e)
	time.Sleep(time.Duration(j.Input.MS) * time.Millisecond)
	e.What = check.Ran
	if j.Attempt <= j.Input.Fails {
		e.Status = 75
		h.Note(e)
		return failStreamJob(j)
	}
	h.Note(e)
	answer, err := json.Marshal(map[string]any{"id": j.ID, "result": map[string]any{
		"answer": j.Input.Answer(j.ID), "attempt": j.Attempt, "nonce": rand.Text(), "pid": os.Getpid(), "pad": strings.Repeat("x", j.Input.Pad),
	}})
	if err == nil {
		_, err = os.Stdout.Write(append(answer, '\n'))
	}
	if err != nil {
		return 75
	}
	return 0
}

func failStreamJob(j streamJob) int {
	switch j.Input.Seed % 3 {
	case 0:
		fmt.Printf(`{"id":%q,"error":{"message":"not yet"}}`+"\n", j.ID)
		return 0
	case 1:
		fmt.Printf(`{"id":%q,"res`, j.ID)
	}
	return 75
}
