package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// record is one package of a list.
type record struct {
	Package      string
	Version      string
	Section      string // noSection if the paragraph has none
	Architecture string
	// KiB is the installed size in KiB; -1 if the paragraph has none.
	KiB int64
}

const (
	noSection = "none"
	maxKiB    = 1 << 40
)

// What fields may be, see deb-control(5) and the Debian Policy Manual, section 5.6.
var (
	packageName  = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]{1,254}$`)
	version      = regexp.MustCompile(`^[0-9A-Za-z.+~:-]{1,255}$`)
	section      = regexp.MustCompile(`^[0-9A-Za-z.+-]{1,32}(/[0-9A-Za-z.+-]{1,32})?$`)
	architecture = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
)

// newRecord returns the record of a paragraph. The error says which field is wrong.
func newRecord(p paragraph) (record, error) {
	if p.Err != nil {
		return record{}, p.Err
	}
	r := record{
		Package: p.Fields["package"], Version: p.Fields["version"], Section: p.Fields["section"],
		Architecture: p.Fields["architecture"], KiB: -1,
	}
	if r.Section == "" {
		r.Section = noSection
	}
	for _, f := range []struct {
		name, value string
		may         *regexp.Regexp
	}{
		{"Package", r.Package, packageName},
		{"Version", r.Version, version},
		{"Section", r.Section, section},
		{"Architecture", r.Architecture, architecture},
	} {
		if f.value == "" {
			return record{}, fmt.Errorf("it has no %s", f.name)
		}
		if !f.may.MatchString(f.value) {
			return record{}, fmt.Errorf("%s: %.80q is not valid", f.name, f.value)
		}
	}
	if size, ok := p.Fields["installed-size"]; ok {
		n, err := strconv.ParseInt(size, 10, 64)
		if err != nil || n < 0 || n > maxKiB {
			return record{}, errors.New("Installed-Size is no number of KiB")
		}
		r.KiB = n
	}
	return r, nil
}
