//go:build !linux

package program

func takenByKernel([]byte) bool { return false }

func onNoexec(string) bool { return false }
