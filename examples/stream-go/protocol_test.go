package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience bounds the life of a program. One that does not answer is killed.
const patience = time.Minute

// served is a stream program that runs, as a node starts it.
type served struct {
	t               *testing.T
	cmd             *exec.Cmd
	jobs            io.WriteCloser
	answers, events *bufio.Reader
	log             strings.Builder
}

// startProgram starts an executable with pipes. The test fails if it does not end once its
// input is closed.
func startProgram(t *testing.T, path string) *served {
	t.Helper()
	s := &served{t: t, cmd: exec.Command(path)}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LANG=C.UTF-8"} // without PYTHONUNBUFFERED
	s.cmd.ExtraFiles, s.cmd.Stderr, s.events = []*os.File{write}, &s.log, bufio.NewReader(read)
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		s.jobs, err = s.cmd.StdinPipe()
	}
	if err == nil {
		err = s.cmd.Start()
	}
	write.Close()
	if err != nil {
		t.Fatal(err)
	}
	hung := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	s.answers = bufio.NewReader(out)
	t.Cleanup(func() {
		s.jobs.Close()
		if more, err := io.ReadAll(s.answers); len(more) > 0 || err != nil {
			t.Errorf("after the last answer it wrote %q, %v", more, err)
		}
		hung.Stop()
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("it ended with %v:\n%s", err, s.log.String())
		}
		read.Close()
	})
	return s
}

// answer is what the program answers to a job, and its first event.
func (s *served) answer(id, input string) (result, fault, event string) {
	s.t.Helper()
	if _, err := fmt.Fprintf(s.jobs, `{"id":%q,"attempt":1,"input":%s,"inputs":"/nowhere/inputs","out":"/nowhere/out","later":1}`+"\n", id, input); err != nil {
		s.t.Fatal(err)
	}
	line, err := s.answers.ReadBytes('\n')
	if err != nil {
		s.t.Fatalf("%v:\n%s", err, s.log.String())
	}
	var a struct {
		ID     string
		Result json.RawMessage
		Error  *failure
	}
	if err := json.Unmarshal(line, &a); err != nil || a.ID != id || (a.Result == nil) == (a.Error == nil) {
		s.t.Fatalf("%v: %s", err, line)
	}
	if a.Error != nil {
		return "", fmt.Sprintf("%s, final %v", a.Error.Message, a.Error.Final), ""
	}
	told, err := s.events.ReadString('\n')
	if err != nil {
		s.t.Fatal(err)
	}
	return string(a.Result), "", told
}

func TestGoProgram(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "run")
	if text, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	s := startProgram(t, path)
	for i := range 3 {
		id := fmt.Sprintf("job-%d", i)
		result, fault, event := s.answer(id, `{"latitude":51.5,"longitude":0}`)
		if !strings.HasPrefix(result, `{"name":"station `) || fault != "" || !strings.Contains(event, id) {
			t.Errorf("%s, %s, %s", result, fault, event)
		}
	}
}

func TestPythonProgram(t *testing.T) {
	t.Parallel()
	s := startProgram(t, "../stream-python/run")
	for i, want := range []string{
		`[{"number": 360, "factors": [2, 2, 2, 3, 3, 5]}]`, `[{"number": 1999993, "factors": [1999993]}]`,
	} {
		id, number := fmt.Sprintf("job-%d", i), strings.Split(want, " ")[1]
		result, fault, event := s.answer(id, `{"numbers":[`+strings.TrimSuffix(number, ",")+`]}`)
		if result != want || fault != "" || event != fmt.Sprintf(`{"id": %q, "progress": 1.0}`+"\n", id) {
			t.Errorf("%s, %s, %s", result, fault, event)
		}
	}
	for _, bad := range []string{`null`, `[1]`, `{"numbers":[0]}`, `{"numbers":[true]}`, `{"numbers":{"1":2}}`, `"x"`} {
		if _, fault, _ := s.answer("bad", bad); !strings.HasPrefix(fault, "bad input: ") || !strings.HasSuffix(fault, ", final true") {
			t.Errorf("%s: %s", bad, fault)
		}
	}
	if result, fault, _ := s.answer("last", `{"numbers":[4]}`); result != `[{"number": 4, "factors": [2, 2]}]` {
		t.Errorf("after faults: %s, %s", result, fault)
	}
}

// TestProgramOfTheDocs runs the program that docs/programs.md gives.
func TestProgramOfTheDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/programs.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Stream programs\n")
	_, code, _ := strings.Cut(section, "\n```python\n")
	code, _, _ = strings.Cut(code, "\n```\n")
	path := filepath.Join(t.TempDir(), "run")
	if err := os.WriteFile(path, []byte(code+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := startProgram(t, path)
	if result, fault, event := s.answer("a", "12"); result != "144" || fault != "" || event != `{"id": "a", "progress": 0.5}`+"\n" {
		t.Errorf("%s, %s, %s", result, fault, event)
	}
	if _, fault, _ := s.answer("b", "-1"); fault != "no square of -1 is known, final true" {
		t.Error(fault)
	}
}

// TestBadInputIsFinal, and the next job is answered.
func TestBadInputIsFinal(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	in := `{"id":"a","input":{}}` + "\n" + `{"id":"b","input":[1]}` + "\n" + `{"id":"c","input":{"latitude":1,"longitude":2}}` + "\n"
	if err := serve(strings.NewReader(in), &out, io.Discard, []station{{"here", 1, 2}, {"there", -1, -2}}); err != nil {
		t.Fatal(err)
	}
	want := `{"id":"a","error":{"message":"bad input: latitude and longitude are wanted","final":true}}` + "\n" +
		`{"id":"b","error":{"message":"bad input: json: cannot unmarshal array into Go value of type struct { Latitude *float64; Longitude *float64 }","final":true}}` + "\n" +
		`{"id":"c","result":{"name":"here","km":0}}` + "\n"
	if out.String() != want {
		t.Errorf("%s, want\n%s", out.String(), want)
	}
	if err := serve(strings.NewReader("{"), io.Discard, io.Discard, nil); err == nil {
		t.Error("half a line is taken for the end")
	}
}
