package firstyear

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// minFree is RUNNERBEAN_MIN_FREE of the nodes, in bytes.
const minFree = 16 << 20

// disk is a small file system.
type disk struct {
	path       string
	last, peak int64 // bytes in use, without the ballast
}

func newDisk(bed *testbed.Testbed, size int) (*disk, error) {
	path, err := bed.Folder("disk")
	if err != nil {
		return nil, err
	}
	if err := testbed.Mount(path, size); err != nil {
		return nil, fmt.Errorf("cannot mount a tmpfs: run this as root, or as \"unshare -rm go run ./chaos c14\": %w", err)
	}
	return &disk{path: path}, nil
}

func (d *disk) close() { testbed.Unmount(d.path) }

// measure notes what is in use. There must be no ballast.
func (d *disk) measure() error {
	used, _, err := testbed.Space(d.path)
	d.last, d.peak = used, max(d.peak, used)
	return err
}

// fill writes a file that leaves so many bytes free, and returns its path.
func (d *disk) fill(free int64) (string, error) {
	path := filepath.Join(d.path, "ballast")
	file, err := os.Create(path)
	if err != nil {
		return path, err
	}
	defer file.Close()
	for chunk := make([]byte, 1<<20); ; {
		_, left, err := testbed.Space(d.path)
		if err != nil || left <= free {
			return path, err
		}
		if _, err := file.Write(chunk[:min(int64(len(chunk)), left-free+4095)]); err != nil {
			return path, err
		}
	}
}
