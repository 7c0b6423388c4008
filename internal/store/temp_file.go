package store

import (
	"os"
	"path"
)

// tempFile is a file on its way to become an object. Discard it in any case.
type tempFile struct {
	*os.File
	store  *disk
	folder *folder
	name   string // empty for a file without a name
}

// newTemp makes a file for an object in f.
func (s *disk) newTemp(f *folder) (*tempFile, error) {
	if s.unnamed {
		file, err := openUnnamed(f.dir)
		return &tempFile{File: file, store: s, folder: f}, err
	}
	file, name, err := s.temp.create()
	return &tempFile{File: file, store: s, folder: f, name: name}, err
}

// link gives the file its place in its folder, and fails where that is taken.
func (t *tempFile) link(name string) error {
	if t.name == "" {
		return linkUnnamed(t.File, t.folder.dir, name)
	}
	return t.store.root.Link(t.name, path.Join(t.folder.path, name))
}

// discard closes the file and takes away the name that is not the object's.
func (t *tempFile) discard() {
	_ = t.Close()
	if t.name != "" {
		_ = t.store.root.Remove(t.name)
	}
}
