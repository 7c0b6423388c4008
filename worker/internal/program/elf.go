package program

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
)

// maxProgramHeaders bounds the program headers of an executable, in bytes.
const maxProgramHeaders = 1 << 16

// checkELF checks the headers of an ELF file. It returns the dynamic loader, empty for a
// static executable, and what keeps the file from being started, empty if nothing does.
func checkELF(f io.ReaderAt) (loader, problem string) {
	head, err := readELF(f)
	switch {
	case err != nil:
		return "", "it is not a whole executable: " + err.Error()
	case head.kind != elf.ET_EXEC && head.kind != elf.ET_DYN:
		return "", "it is an object file or a core dump, not a program"
	case !slices.Contains(machines[runtime.GOARCH], head.machine) && machines[runtime.GOARCH] != nil:
		return "", fmt.Sprintf("it is built for %s, and this machine is %s", machineName(head.machine), runtime.GOARCH)
	}
	return head.loader, ""
}

// machines lists, by GOARCH, the processors whose programs run here. The kernel may
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

// elfHead is what the headers of an executable say.
type elfHead struct {
	kind    elf.Type
	machine elf.Machine
	loader  string // the dynamic loader; empty for a static executable
}

var errShort = errors.New("it ends too early")

// readELF reads the headers alone. debug/elf reads more, which may be damaged.
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

// withLoader looks for the dynamic loader among the program headers.
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
