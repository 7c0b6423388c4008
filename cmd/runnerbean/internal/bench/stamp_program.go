package bench

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"runtime"
	"strconv"
)

// installStamp writes a program that prints the time in nanoseconds. Its first system call
// reads the clock. Where such a program does not run, a script takes its place: the time
// then includes the start of a shell and of date, 1 ms and more.
func installStamp(path string) error {
	if program := stampProgram(runtime.GOOS, runtime.GOARCH); program != nil {
		if err := os.WriteFile(path, program, 0o755); err != nil {
			return err
		}
		printed, err := exec.Command(path).Output()
		if _, bad := strconv.ParseInt(string(printed), 10, 64); err == nil && bad == nil {
			return nil
		}
	}
	return os.WriteFile(path, []byte("#!/bin/sh\nexec date +%s%N\n"), 0o755)
}

// stampProgram returns a static ELF file, or nil for a system that it is not written for.
func stampProgram(system, arch string) []byte {
	switch {
	case system == "linux" && arch == "amd64":
		return elfFile(elf.EM_X86_64, stampAMD64)
	case system == "linux" && arch == "arm64":
		return elfFile(elf.EM_AARCH64, binaryWords(stampARM64))
	}
	return nil
}

// elfFile returns a file with one segment, which begins with the headers and is mapped
// as a whole.
func elfFile(machine elf.Machine, code []byte) []byte {
	const (
		base    = 0x400000
		headers = 64 + 56 // of the file and of the segment
	)
	size := uint64(headers + len(code))
	var b bytes.Buffer
	header := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
		Entry: base + headers, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	segment := elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X),
		Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 0x1000,
	}
	for _, part := range []any{header, segment, code} {
		_ = binary.Write(&b, binary.LittleEndian, part) // a buffer takes all
	}
	return b.Bytes()
}

func binaryWords(words []uint32) []byte {
	var code []byte
	for _, w := range words {
		code = binary.LittleEndian.AppendUint32(code, w)
	}
	return code
}

// stampAMD64 reads the clock, writes the time as digits below the stack, and exits.
var stampAMD64 = []byte{
	0x31, 0xff, // xor edi, edi: CLOCK_REALTIME
	0x48, 0x8d, 0x74, 0x24, 0xf0, // lea rsi, [rsp-16]
	0xb8, 0xe4, 0, 0, 0, // mov eax, 228: clock_gettime
	0x0f, 0x05, // syscall
	0x48, 0x69, 0x44, 0x24, 0xf0, 0x00, 0xca, 0x9a, 0x3b, // imul rax, [rsp-16], 1000000000
	0x48, 0x03, 0x44, 0x24, 0xf8, // add rax, [rsp-8]
	0x48, 0x8d, 0x7c, 0x24, 0xe0, // lea rdi, [rsp-32]: the end of the digits
	0xb9, 10, 0, 0, 0, // mov ecx, 10
	0x31, 0xd2, // next: xor edx, edx
	0x48, 0xf7, 0xf1, // div rcx
	0x80, 0xc2, '0', // add dl, '0'
	0x48, 0xff, 0xcf, // dec rdi
	0x88, 0x17, // mov [rdi], dl
	0x48, 0x85, 0xc0, // test rax, rax
	0x75, 0xee, // jnz next
	0x48, 0x89, 0xfe, // mov rsi, rdi
	0x48, 0x8d, 0x54, 0x24, 0xe0, // lea rdx, [rsp-32]
	0x48, 0x29, 0xfa, // sub rdx, rdi
	0xbf, 1, 0, 0, 0, // mov edi, 1: standard output
	0xb8, 1, 0, 0, 0, // mov eax, 1: write
	0x0f, 0x05, // syscall
	0x31, 0xff, // xor edi, edi
	0xb8, 60, 0, 0, 0, // mov eax, 60: exit
	0x0f, 0x05, // syscall
}

// stampARM64 does the same.
var stampARM64 = []uint32{
	0xd2800000, // mov x0, #0: CLOCK_REALTIME
	0xd10043e1, // sub x1, sp, #16
	0xd2800e28, // mov x8, #113: clock_gettime
	0xd4000001, // svc #0
	0xa97f0fe2, // ldp x2, x3, [sp, #-16]
	0xd2994004, // mov x4, #51712
	0xf2a77344, // movk x4, #15258, lsl #16: 1000000000
	0x9b040c42, // madd x2, x2, x4, x3
	0xd10083e5, // sub x5, sp, #32: the end of the digits
	0xaa0503e6, // mov x6, x5
	0xd2800147, // mov x7, #10
	0x9ac70849, // next: udiv x9, x2, x7
	0x9b07892a, // msub x10, x9, x7, x2
	0x9100c14a, // add x10, x10, #'0'
	0x381ffcca, // strb w10, [x6, #-1]!
	0xaa0903e2, // mov x2, x9
	0xb5ffff62, // cbnz x2, next
	0xd2800020, // mov x0, #1: standard output
	0xaa0603e1, // mov x1, x6
	0xcb0600a2, // sub x2, x5, x6
	0xd2800808, // mov x8, #64: write
	0xd4000001, // svc #0
	0xd2800000, // mov x0, #0
	0xd2800ba8, // mov x8, #93: exit
	0xd4000001, // svc #0
}
