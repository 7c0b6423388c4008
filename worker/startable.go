package worker

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
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
)

const (
	// maxShebang is how much of a #! line Linux reads.
	maxShebang = 256
	// maxInterpreters is how many interpreters Linux follows one after the other.
	maxInterpreters = 5
	// maxProgramHeaders bounds what is read of an executable's own description.
	maxProgramHeaders = 1 << 16
	// defaultPath is where programs find others.
	defaultPath = "/usr/local/bin:/usr/bin:/bin"
)

// starter finds out why an executable cannot be started, before it is.
type starter struct {
	path string // where its program looks for others
	// seen is what the answer depends on, besides the executable: another mark
	// may make it another answer.
	seen map[string]mark
}

// problem says what keeps an open executable from being started; empty for
// nothing that is known.
func (s *starter) problem(f *os.File, depth int) string {
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
		return s.binary(f, depth)
	}
	return noFormat(head)
}

// noFormat is for a file that is neither a script nor an executable of Linux.
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

// script reads a #! line as the kernel does.
func (s *starter) script(head []byte, depth int) string {
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

// env looks for the program that env shall start.
func (s *starter) env(argument string) string {
	words := strings.Fields(argument)
	split := len(words) > 0 && (strings.HasPrefix(words[0], "-S") || strings.HasPrefix(words[0], "--split-string"))
	switch {
	case len(words) == 0:
		return "its #! line starts env without naming an interpreter"
	case split:
		words[0] = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(words[0], "--split-string"), "-S"), "=")
		words = slices.DeleteFunc(words, func(word string) bool { return word == "" || strings.Contains(word, "=") })
		if len(words) == 0 || strings.ContainsAny(words[0], `-$\"'`) {
			return "" // more than is understood here
		}
	case strings.HasPrefix(argument, "-") || strings.Contains(argument, "="):
		return ""
	case len(words) > 1:
		return fmt.Sprintf("its #! line has env look for one program named %s; write #!/usr/bin/env -S %s", quoted(argument), quoted(argument))
	}
	// With -S env itself takes it for white space.
	if strings.HasSuffix(argument, "\r") && !split {
		return carriageReturn
	}
	return s.lookUp(words[0])
}

// lookUp looks for a program as env does.
func (s *starter) lookUp(name string) string {
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

// executable says why what is at path cannot be executed as part of a program.
func (s *starter) executable(what, path string, depth int) string {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		s.seen[path] = mark{}
		return fmt.Sprintf("its %s %s %s", what, quoted(path), whyAbsent(path, err))
	}
	m := markOf(&st)
	s.seen[path] = m
	switch {
	case m.is(unix.S_IFDIR):
		return fmt.Sprintf("its %s %s is a folder", what, quoted(path))
	case m.mode&0o111 == 0 || unix.Access(path, unix.X_OK) != nil:
		return fmt.Sprintf("its %s %s is not executable%s", what, quoted(path), whyNotExecutable(path, m))
	}
	if depth >= maxInterpreters || what != "interpreter" {
		return ""
	}
	f, _, err := openRegular(realPath(path))
	if err != nil {
		return "" // what may only be executed, and not be read, is executed
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

// whyNotExecutable is the mode of a file, or that of the file system it is on.
func whyNotExecutable(path string, m mark) string {
	switch {
	case m.mode&0o111 == 0:
		return fmt.Sprintf(" (mode %04o; chmod +x)", m.mode&0o7777)
	case onNoexec(path):
		return ": its file system is mounted with noexec"
	}
	return fmt.Sprintf(" by user %d (mode %04o)", os.Geteuid(), m.mode&0o7777)
}

// binary reads what an executable of Linux says about itself.
func (s *starter) binary(f io.ReaderAt, depth int) string {
	head, err := readELF(f)
	switch {
	case err != nil:
		return "it is not a whole executable: " + err.Error()
	case head.kind != elf.ET_EXEC && head.kind != elf.ET_DYN:
		return "it is an object file or a core dump, not a program"
	case !slices.Contains(machines[runtime.GOARCH], head.machine) && machines[runtime.GOARCH] != nil:
		return fmt.Sprintf("it is built for %s, and this machine is %s", machineName(head.machine), runtime.GOARCH)
	case head.loader != "":
		return s.executable("dynamic loader", head.loader, depth)
	}
	return ""
}

// machines are those whose programs run on a processor. An operating system may
// refuse those of the smaller word size.
var machines = map[string][]elf.Machine{
	"amd64": {elf.EM_X86_64, elf.EM_386}, "386": {elf.EM_386, elf.EM_X86_64},
	"arm64": {elf.EM_AARCH64, elf.EM_ARM}, "arm": {elf.EM_ARM},
	"riscv64": {elf.EM_RISCV}, "ppc64le": {elf.EM_PPC64}, "s390x": {elf.EM_S390},
}

func machineName(m elf.Machine) string {
	for arch, list := range machines {
		if list[0] == m {
			return arch
		}
	}
	return m.String()
}

// elfHead is the beginning of an executable.
type elfHead struct {
	kind    elf.Type
	machine elf.Machine
	loader  string // empty for a static one
}

var errShort = errors.New("it ends too early")

// readELF reads the headers alone, which debug/elf cannot.
func readELF(f io.ReaderAt) (elfHead, error) {
	ident := make([]byte, elf.EI_NIDENT)
	if _, err := f.ReadAt(ident, 0); err != nil {
		return elfHead{}, errShort
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if elf.Data(ident[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	in := io.NewSectionReader(f, 0, 1<<62)
	if elf.Class(ident[elf.EI_CLASS]) == elf.ELFCLASS32 {
		var h elf.Header32
		if binary.Read(in, order, &h) != nil {
			return elfHead{}, errShort
		}
		return withLoader(f, order, elf.Header64{Type: h.Type, Machine: h.Machine, Phoff: uint64(h.Phoff), Phentsize: h.Phentsize, Phnum: h.Phnum}, true)
	}
	var h elf.Header64
	if binary.Read(in, order, &h) != nil {
		return elfHead{}, errShort
	}
	return withLoader(f, order, h, false)
}

// withLoader looks for the loader that an executable asks for.
func withLoader(f io.ReaderAt, order binary.ByteOrder, h elf.Header64, small bool) (elfHead, error) {
	head := elfHead{kind: elf.Type(h.Type), machine: elf.Machine(h.Machine)}
	if int(h.Phnum)*int(h.Phentsize) > maxProgramHeaders {
		return head, errors.New("it has too many program headers")
	}
	for i := range int64(h.Phnum) {
		at := int64(h.Phoff) + i*int64(h.Phentsize)
		if at < 0 || at > 1<<62 {
			return head, errShort
		}
		in := io.NewSectionReader(f, at, int64(h.Phentsize))
		kind, offset, size := elf.PT_NULL, uint64(0), uint64(0)
		var err error
		if small {
			var p elf.Prog32
			err = binary.Read(in, order, &p)
			kind, offset, size = elf.ProgType(p.Type), uint64(p.Off), uint64(p.Filesz)
		} else {
			var p elf.Prog64
			err = binary.Read(in, order, &p)
			kind, offset, size = elf.ProgType(p.Type), p.Off, p.Filesz
		}
		if err != nil {
			return head, errShort
		}
		if kind != elf.PT_INTERP {
			continue
		}
		name := make([]byte, min(size, 4096))
		if offset > 1<<62 {
			return head, errShort
		}
		if _, err := f.ReadAt(name, int64(offset)); err != nil {
			return head, errShort
		}
		loader, _, _ := bytes.Cut(name, []byte{0})
		head.loader = string(loader)
		return head, nil
	}
	return head, nil
}

// quoted is a path or a name for a message.
func quoted(text string) string { return clean(text, 200) }
