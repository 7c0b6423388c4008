package program

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/worker/internal/fingerprint"
)

const (
	// maxShebang is how much of a #! line Linux reads.
	maxShebang = 256
	// maxInterpreters is how many interpreters Linux follows one after the other.
	maxInterpreters = 5
)

// startCheck finds out, without starting it, why an executable cannot be started.
type startCheck struct {
	path string // the PATH of the program
	// seen has the other files on which the answer depends.
	seen map[string]fingerprint.File
}

// problem returns what keeps an open executable from being started; empty if
// nothing is known. depth counts the interpreters so far.
func (s *startCheck) problem(f *os.File, depth int) string {
	head := make([]byte, maxShebang)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "it cannot be read: " + err.Error()
	}
	switch head = head[:n]; {
	case n == 0:
		return "it is empty"
	case bytes.HasPrefix(head, []byte("#!")):
		return s.script(head, depth)
	case runtime.GOOS != "linux" && !isText(head), takenByKernel(head):
		return ""
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		loader, problem := checkELF(f)
		if problem == "" && loader != "" {
			problem = s.executable("dynamic loader", loader, depth)
		}
		return problem
	}
	return noFormat(head)
}

// noFormat returns the problem of a file that is neither a script nor an ELF file.
func noFormat(head []byte) string {
	switch text := bytes.TrimLeft(head, "\ufeff \t\r\n"); {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf#!")):
		return "a byte order mark stands before its #! line; save it as UTF-8 without one"
	case bytes.HasPrefix(text, []byte("#!")):
		return "its #! line is not at the very beginning"
	case isText(head):
		return "it has no #! line; begin it with one such as #!/bin/sh or #!/usr/bin/env python3"
	case bytes.HasPrefix(head, []byte("MZ")):
		return "it is a program for Windows"
	case bytes.HasPrefix(head, []byte("\xcf\xfa\xed\xfe")), bytes.HasPrefix(head, []byte("\xca\xfe\xba\xbe")):
		return "it is a program for macOS or Java, not for Linux"
	}
	return "it is not in a format that this machine can run"
}

func isText(head []byte) bool { return bytes.IndexByte(head, 0) < 0 }

// script checks a #! line as the kernel reads it.
func (s *startCheck) script(head []byte, depth int) string {
	line, _, whole := bytes.Cut(head[2:], []byte("\n"))
	line = bytes.TrimLeft(line, " \t")
	end := bytes.IndexAny(line, " \t\x00")
	if end < 0 && !whole && len(head) == maxShebang {
		return fmt.Sprintf("its #! line is longer than %d bytes", maxShebang-1)
	}
	if end < 0 {
		end = len(line)
	}
	interpreter, argument := string(line[:end]), strings.Trim(string(line[end:]), " \t\x00")
	switch {
	case strings.Trim(interpreter, "\r") == "":
		return "its #! line names no interpreter"
	case depth == maxInterpreters:
		return "its interpreters are scripts, too, one after the other, more than Linux follows"
	case !filepath.IsAbs(interpreter):
		return fmt.Sprintf("its interpreter %s is not an absolute path; write #!/usr/bin/env %s", quoted(interpreter), quoted(interpreter))
	}
	if problem := s.executable("interpreter", interpreter, depth); problem != "" {
		if strings.HasSuffix(interpreter, "\r") {
			return carriageReturn
		}
		return problem
	}
	if filepath.Base(interpreter) == "env" {
		return s.env(argument)
	}
	return ""
}

const carriageReturn = "its #! line ends in a carriage return, as on Windows; save it with Unix line ends (sed -i 's/\\r$//')"

// env checks the program that a #! line has env start.
func (s *startCheck) env(argument string) string {
	words := strings.Fields(argument)
	split := len(words) > 0 && (strings.HasPrefix(words[0], "-S") || strings.HasPrefix(words[0], "--split-string"))
	switch {
	case len(words) == 0:
		return "its #! line starts env without naming an interpreter"
	case split:
		words[0] = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(words[0], "--split-string"), "-S"), "=")
		words = slices.DeleteFunc(words, func(word string) bool { return word == "" || strings.Contains(word, "=") })
		if len(words) == 0 || strings.ContainsAny(words[0], `-$\"'`) {
			return "" // too complex to check
		}
	case strings.HasPrefix(argument, "-") || strings.Contains(argument, "="):
		return ""
	case len(words) > 1:
		return fmt.Sprintf("its #! line has env look for one program named %s; write #!/usr/bin/env -S %s", quoted(argument), quoted(argument))
	}
	// With -S, env takes a carriage return for white space.
	if strings.HasSuffix(argument, "\r") && !split {
		return carriageReturn
	}
	return s.lookUp(words[0])
}

// lookUp looks for a program in the PATH, as env does.
func (s *startCheck) lookUp(name string) string {
	if strings.Contains(name, "/") {
		return s.executable("interpreter", name, maxInterpreters)
	}
	for _, dir := range filepath.SplitList(s.path) {
		if s.executable("interpreter", filepath.Join(dir, name), maxInterpreters) == "" {
			return ""
		}
	}
	return fmt.Sprintf("its interpreter %s is not in the program's PATH (%s)", quoted(name), quoted(s.path))
}

// executable returns why the interpreter or loader at path cannot be executed.
func (s *startCheck) executable(what, path string, depth int) string {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		s.seen[path] = fingerprint.File{}
		return fmt.Sprintf("its %s %s %s", what, quoted(path), whyAbsent(path, err))
	}
	m := fingerprint.Of(&st)
	s.seen[path] = m
	switch {
	case m.Is(unix.S_IFDIR):
		return fmt.Sprintf("its %s %s is a folder", what, quoted(path))
	case m.Mode()&0o111 == 0 || unix.Access(path, unix.X_OK) != nil:
		return fmt.Sprintf("its %s %s is not executable%s", what, quoted(path), whyNotExecutable(path, m))
	}
	if depth >= maxInterpreters || what != "interpreter" {
		return ""
	}
	f, _, err := fingerprint.OpenRegular(realPath(path))
	if err != nil {
		return "" // it may be executed and not read
	}
	defer f.Close()
	if problem := s.problem(f, depth+1); problem != "" {
		return fmt.Sprintf("its interpreter %s cannot be started: %s", quoted(path), problem)
	}
	return ""
}

func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

func whyAbsent(path string, err error) string {
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Sprintf("cannot be reached by user %d: %s", os.Geteuid(), err)
	}
	if target, err := os.Readlink(path); err == nil {
		return fmt.Sprintf("is a symbolic link to %s, which does not exist", quoted(target))
	}
	return "does not exist"
}

// whyNotExecutable returns the reason to append: the mode of the file, or noexec.
func whyNotExecutable(path string, m fingerprint.File) string {
	switch {
	case m.Mode()&0o111 == 0:
		return fmt.Sprintf(" (mode %04o; chmod +x)", m.Mode())
	case onNoexec(path):
		return ": its file system is mounted with noexec"
	}
	return fmt.Sprintf(" by user %d (mode %04o)", os.Geteuid(), m.Mode())
}

// quoted returns a path or a name fit for a message.
func quoted(text string) string { return logtext.Clean(text, 200) }
