package store

import (
	"os"
	"sync"
)

// disk is a store in a folder.
type disk struct {
	root  *os.Root
	top   *os.File // the same folder
	temp  *tempFolder
	fsync func(*os.File) error // of objects
	// unnamed is set where files can be written before they have a name.
	unnamed bool

	failing sync.Once
	failed  chan struct{} // closed once failure is set
	failure error

	mu      sync.Mutex
	folders map[string]*folder  // those in use now
	known   map[string]struct{} // those that are safe on disk, as far as remembered
}
