package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

const (
	maxSections = 500 // of a tally; packages of more sections are counted as otherName
	otherName   = "other"
	maxLargest  = 20
	maxFaults   = 10
	// maxSizes is how many classes of sizes there are: less than 1 KiB, less than 2, 4, 8 …
	maxSizes = 42
)

// tally is what is known of a number of records. With up to maxSections names, the tally of a list is the
// same however the list was cut.
type tally struct {
	Records int64 `json:"records"`
	// Bad are the paragraphs of which no record could be made.
	Bad int64 `json:"bad"`
	KiB int64 `json:"kib"`
	// Sections and Architectures are counted by name.
	Sections      map[string]group `json:"sections"`
	Architectures map[string]group `json:"architectures"`
	Largest       []large          `json:"largest"`
	// Sizes are packages by installed size: the first less than 1 KiB, then less than 2, 4, 8 …
	Sizes []int64 `json:"sizes"`
	// Faults are the first bad paragraphs.
	Faults []bad `json:"faults"`
}

type group struct {
	Packages int64 `json:"packages"`
	KiB      int64 `json:"kib"`
}

type large struct {
	Package string `json:"package"`
	Version string `json:"version"`
	Section string `json:"section"`
	KiB     int64  `json:"kib"`
}

// bad is a paragraph that is no record.
type bad struct {
	Chunk string `json:"chunk"`
	Line  int64  `json:"line"` // of the chunk
	Fault string `json:"fault"`
}

func newTally() *tally {
	return &tally{Sections: map[string]group{}, Architectures: map[string]group{}, Largest: []large{}, Sizes: []int64{}, Faults: []bad{}}
}

// add counts a record.
func (t *tally) add(r record) {
	kib := max(r.KiB, 0)
	t.Records, t.KiB = t.Records+1, t.KiB+kib
	addTo(t.Sections, r.Section, group{1, kib})
	addTo(t.Architectures, r.Architecture, group{1, kib})
	t.addLargest(large{r.Package, r.Version, r.Section, kib})
	if r.KiB >= 0 {
		class := bits.Len64(uint64(r.KiB))
		for len(t.Sizes) <= class {
			t.Sizes = append(t.Sizes, 0)
		}
		t.Sizes[class]++
	}
}

// addBad counts a bad paragraph.
func (t *tally) addBad(b bad) {
	if t.Bad++; len(t.Faults) < maxFaults {
		t.Faults = append(t.Faults, b)
	}
}

// merge adds the records of another tally.
func (t *tally) merge(o *tally) {
	t.Records, t.Bad, t.KiB = t.Records+o.Records, t.Bad+o.Bad, t.KiB+o.KiB
	for _, of := range []struct{ to, from map[string]group }{{t.Sections, o.Sections}, {t.Architectures, o.Architectures}} {
		for _, name := range sorted(of.from) {
			addTo(of.to, name, of.from[name])
		}
	}
	for _, l := range o.Largest {
		t.addLargest(l)
	}
	for class, n := range o.Sizes {
		for len(t.Sizes) <= class {
			t.Sizes = append(t.Sizes, 0)
		}
		t.Sizes[class] += n
	}
	t.Faults = append(t.Faults, o.Faults...)
	t.Faults = t.Faults[:min(len(t.Faults), maxFaults)]
}

// check refuses what parse does not write: the numbers come from another job.
func (t *tally) check() error {
	switch {
	case t.Records < 0 || t.Bad < 0 || t.KiB < 0 || t.Records > 1<<40 || t.Bad > 1<<40:
		return errors.New("a number is negative or too large")
	case len(t.Sections) > maxSections+1 || len(t.Architectures) > maxSections+1 || len(t.Largest) > maxLargest || len(t.Sizes) > maxSizes || len(t.Faults) > maxFaults:
		return errors.New("a list is too long")
	}
	for _, n := range t.Sizes {
		if n < 0 || n > t.Records {
			return errors.New("sizes: a number is negative or too large")
		}
	}
	for _, groups := range []map[string]group{t.Sections, t.Architectures} {
		for name, g := range groups {
			if !section.MatchString(name) && !architecture.MatchString(name) {
				return fmt.Errorf("%.80q is no name of a section", name)
			}
			if g.Packages < 0 || g.Packages > t.Records || g.KiB < 0 {
				return fmt.Errorf("%s: a number is negative or too large", name)
			}
		}
	}
	return nil
}

func addTo(groups map[string]group, name string, g group) {
	if _, there := groups[name]; !there && len(groups) >= maxSections {
		name = otherName
	}
	have := groups[name]
	groups[name] = group{have.Packages + g.Packages, have.KiB + g.KiB}
}

// addLargest keeps the largest packages in order.
func (t *tally) addLargest(l large) {
	if len(t.Largest) == maxLargest && compareLarge(l, t.Largest[maxLargest-1]) >= 0 {
		return
	}
	at, _ := slices.BinarySearchFunc(t.Largest, l, compareLarge)
	t.Largest = slices.Insert(t.Largest, at, l)
	t.Largest = t.Largest[:min(len(t.Largest), maxLargest)]
}

func compareLarge(a, b large) int {
	return cmp.Or(-cmp.Compare(a.KiB, b.KiB), cmp.Compare(a.Package, b.Package), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Section, b.Section))
}

// sorted returns the names of groups in order.
func sorted(groups map[string]group) []string {
	names := make([]string, 0, len(groups))
	for name := range groups {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// named is a group as people read it.
type named struct {
	Name     string  `json:"name"`
	Packages int64   `json:"packages"`
	GiB      float64 `json:"gib"`
}

// most returns the n groups with the most packages.
func most(groups map[string]group, n int) (list []named) {
	for name, g := range groups {
		list = append(list, named{name, g.Packages, gib(g.KiB)})
	}
	slices.SortFunc(list, func(a, b named) int {
		return cmp.Or(-cmp.Compare(a.Packages, b.Packages), cmp.Compare(a.Name, b.Name))
	})
	return list[:min(len(list), n)]
}

// gib returns GiB with three digits after the point.
func gib(kib int64) float64 {
	const mib = 1 << 10
	return math.Round(float64(kib)/mib/mib*1000) / 1000
}
