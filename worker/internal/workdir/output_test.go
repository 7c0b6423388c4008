package workdir

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestByProgram leaves a file out of a result only because of what the program has put
// there.
func TestByProgram(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		unix.ELOOP: true, unix.EACCES: true, unix.ENXIO: true,
		unix.EIO: false, unix.EMFILE: false, unix.ENFILE: false, unix.ENOMEM: false, nil: false,
	} {
		if got := byProgram(err); got != want {
			t.Errorf("%v: by the program: %v, want %v", err, got, want)
		}
	}
}
