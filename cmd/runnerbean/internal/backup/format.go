// Package backup writes a ledger and the objects that it names into one archive, and
// restores them.
//
// The archive is a tar file, compressed with zstd. Its entries are, in this order:
//
//	manifest.json   what the archive is of
//	ledger.db       a copy of the ledger
//	store/KEY       an object of the store, in the order of jobs and keys; files of packages last
//	digests/N       after at most 1,000 objects: their SHA-256, sizes and names
//	end.json        how many objects there are, and the SHA-256 of all digests
package backup

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/store"
)

const (
	format = 1

	manifestName = "manifest.json"
	ledgerName   = "ledger.db"
	objectPrefix = "store/"
	digestPrefix = "digests/"
	endName      = "end.json"

	// maxText bounds manifest.json and end.json, in bytes.
	maxText = 64 << 10
	// tableLines is the number of lines of a table of digests.
	tableLines = 1000
	// maxTable bounds a table of digests, in bytes.
	maxTable = tableLines * 700
	// maxNamed is how many jobs are named whose results are missing.
	maxNamed = 20
)

// ErrArchive is returned for a file that is not a whole and unchanged archive.
var ErrArchive = errors.New("not a whole archive of runnerbean")

func bad(text string, args ...any) error {
	return fmt.Errorf("%w: "+text, append([]any{ErrArchive}, args...)...)
}

// Manifest is what an archive is of.
type Manifest struct {
	Format int       `json:"format"`
	Ledger string    `json:"ledger"` // the id of the ledger
	Store  string    `json:"store"`  // the id of its store; empty if it is not recorded
	Schema int       `json:"schema"` // the version of the schema
	Time   time.Time `json:"time"`   // of the copy of the ledger
	// Version of the program that wrote it.
	Version string `json:"version"`
}

// End is the last entry.
type End struct {
	Objects int    `json:"objects"`
	Bytes   int64  `json:"bytes"`  // of the objects
	Tables  string `json:"tables"` // SHA-256 of all tables of digests
	// Missing is the number of successes whose results, or files of them, were missing from
	// the store.
	Missing int `json:"missing"`
	// Without is the number of successes without a result in the archive: missing ones,
	// and those that were deleted after the ledger was copied.
	Without int `json:"without"`
}

// Summary is what is in an archive.
type Summary struct {
	Manifest
	Jobs    int   `json:"jobs"` // that have had an attempt
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"` // of the objects
	// Missing is the number of successes whose results, or files of them, were missing from
	// the store. MissingJobs names at most 20 of them; a restore names none.
	Missing     int      `json:"missing"`
	MissingJobs []string `json:"missing_jobs,omitempty"`
}

// Progress is told how far a backup or a restore has come, in jobs. Begin comes first.
type Progress struct {
	Begin func(total int)
	Set   func(done int)
}

// jobOf returns the id in the key of an object: the last part up to its first dot.
func jobOf(key string) string {
	id, _, _ := strings.Cut(key[strings.LastIndexByte(key, '/')+1:], ".")
	return id
}

// before reports whether an object stands before another one in an archive. Files of packages
// stand behind all others, in the order of their digests.
func before(key, other string) bool {
	digest, number, ofPackage := store.PackageFile(key)
	digest2, number2, otherOfPackage := store.PackageFile(other)
	if ofPackage || otherOfPackage {
		return otherOfPackage && (!ofPackage || digest < digest2 || digest == digest2 && number < number2)
	}
	id, next := jobOf(key), jobOf(other)
	return id < next || id == next && key < other
}

// digestLine is the line of one object in a table.
func digestLine(sum string, size int64, name string) string {
	return fmt.Sprintf("%s %d %s\n", sum, size, name)
}
