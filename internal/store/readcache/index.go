package readcache

import (
	"cmp"
	"container/list"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	// maxFiles bounds the copies.
	maxFiles = 10_000
	// maxWalk bounds the files of the folder that are looked at when a cache is opened.
	maxWalk = 4 * maxFiles
	// maxUnused is the time after which a copy goes that nobody reads. A node that did not run
	// when a job was deleted does not keep its bytes for ever.
	maxUnused = 7 * 24 * time.Hour
)

// entry is a copy in the folder.
type entry struct {
	name string
	size int64
	used time.Time
	// asked is when the bucket was last known to have this version; zero: not since the start.
	asked time.Time
	// What follows is known once the copy was checked.
	checked bool
	key     string
	version string
	modTime time.Time
}

// index is the list of all copies. Its Cache guards it.
type index struct {
	root    *os.Root
	entries map[string]*list.Element // by name; of *entry
	order   *list.List               // the one used last is at the front
	bytes   int64
}

// openIndex lists the files of a folder and removes what a killed process left.
func openIndex(root *os.Root, limit int64) (*index, error) {
	x := &index{root: root, entries: map[string]*list.Element{}, order: list.New()}
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var found []*entry
	for walked := 0; walked < maxWalk; {
		files, err := dir.ReadDir(1024)
		walked += len(files)
		for _, f := range files {
			if e := x.look(f); e != nil {
				found = append(found, e)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(found, func(a, b *entry) int { return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.name, b.name)) })
	for _, e := range found {
		x.add(e)
	}
	x.shrink(limit)
	return x, nil
}

// look returns the entry of a file; nil if it is none.
func (x *index) look(f fs.DirEntry) *entry {
	if strings.HasPrefix(f.Name(), tempPrefix) && strings.Count(f.Name(), ".") == 1 {
		_ = x.root.Remove(f.Name())
		return nil
	}
	name, size, ok := parseFile(f.Name())
	info, err := f.Info()
	if !ok || err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return &entry{name: name, size: size, used: info.ModTime()}
}

// get returns a copy of the entry, and counts as a use; nil for none.
func (x *index) get(name string) *entry {
	at := x.entries[name]
	if at == nil {
		return nil
	}
	x.order.MoveToFront(at)
	e := at.Value.(*entry)
	e.used = time.Now()
	now := *e
	return &now
}

// add puts an entry to the front, in the place of one of the same name.
func (x *index) add(e *entry) {
	if at := x.entries[e.name]; at != nil && at.Value.(*entry).size == e.size {
		x.leave(at) // the file is that of the new entry
	} else if at != nil {
		x.drop(e.name)
	}
	x.entries[e.name] = x.order.PushFront(e)
	x.bytes += e.size
}

// shrink removes the copies that were not used for longest until the others have at most limit
// bytes.
func (x *index) shrink(limit int64) {
	for last := x.order.Back(); last != nil; last = x.order.Back() {
		e := last.Value.(*entry)
		if x.bytes <= limit && x.order.Len() <= maxFiles && time.Since(e.used) < maxUnused {
			return
		}
		x.drop(e.name)
	}
}

func (x *index) leave(at *list.Element) *entry {
	e := x.order.Remove(at).(*entry)
	delete(x.entries, e.name)
	x.bytes -= e.size
	return e
}

// drop removes a copy. Who reads it now reads on.
func (x *index) drop(name string) {
	if at := x.entries[name]; at != nil {
		e := x.leave(at)
		_ = x.root.Remove(fileOf(e.name, e.size))
	}
}
