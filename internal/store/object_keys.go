package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strconv"
	"strings"
)

const (
	maxKey  = 512 // bytes of a whole key
	maxPart = 255 // bytes of one part, which is what file systems take
	// maxName is how long an encoded name may be to be part of a key as it is.
	maxName = 160
)

// ResultKey is where the result of a job is.
func ResultKey(id string) string { return key("results", id, ".json") }

// LogKey is where the log of an attempt is.
func LogKey(id string, attempt int) string {
	return key("logs", id, "."+strconv.Itoa(attempt)+".log")
}

// SeriesKey is where the progress and the counters of an attempt are over time, a
// api.JobSeries in JSON. A program that says no number has none. It comes some
// seconds after the start and changes until the end, as the log does.
func SeriesKey(id string, attempt int) string {
	return key("series", id, "."+strconv.Itoa(attempt)+".json")
}

// FileKey is where the artifact name of an attempt is. Any name gives a good
// key, and different names give different keys, also where the file system does
// not tell upper from lower case.
func FileKey(id string, attempt int, name string) string {
	return key("files", id, "."+strconv.Itoa(attempt)+"."+encode(name))
}

// OutputKey is where the list is of the files that an attempt left which is no
// success, an api.Output in JSON.
func OutputKey(id string, attempt int) string {
	return key("outputs", id, "."+strconv.Itoa(attempt)+".json")
}

// AsideKey is where a result is kept that differs from the one published before.
func AsideKey(id string, attempt int) string {
	return key("aside", id, "."+strconv.Itoa(attempt)+".json")
}

// CheckpointKey is where the checkpoint of a job with a number is, which an attempt has made.
func CheckpointKey(id string, attempt, number int) string {
	return key("checkpoints", id, "."+strconv.Itoa(attempt)+"."+strconv.Itoa(number)+".tar.zst")
}

// PackageKey is where the file of packages with a SHA-256 digest and a number is.
func PackageKey(digest string, number int64) string {
	return key("packages", digest, "."+strconv.FormatInt(number, 10))
}

// PackageFile returns what [PackageKey] has made a key of.
func PackageFile(key string) (digest string, number int64, ok bool) {
	digest, text, _ := strings.Cut(path.Base(key), ".")
	number, err := strconv.ParseInt(text, 10, 64)
	return digest, number, err == nil && key == PackageKey(digest, number)
}

// key shards by the end of the id, which is random in every kind of UUID and in digests. An id
// that is too short gives a key that is refused.
func key(kind, id, rest string) string {
	shard := id[max(0, len(id)-2):]
	return kind + "/" + shard + "/" + id + rest
}

// encode writes all but plain lower-case characters as %xx. A name that becomes
// too long is cut, and told apart by its digest; "%%" is in no other name.
func encode(name string) string {
	var b strings.Builder
	for i := 0; i < len(name) && b.Len() <= maxName; i++ {
		if c := name[i]; plain(c) && c != '%' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	if b.Len() <= maxName {
		return b.String()
	}
	sum := sha256.Sum256([]byte(name))
	return b.String()[:maxName/2] + "%%" + hex.EncodeToString(sum[:])
}

// plain characters may stand in a key.
func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == '%'
}

// CheckKey returns an ErrKey unless a key is well formed: two to five parts of plain characters that begin with a letter
// or a digit. That leaves no way out of the store or into its temporary folder.
func CheckKey(key string) error {
	parts := strings.Split(key, "/")
	if len(key) > maxKey || len(parts) < 2 || len(parts) > 5 || parts[0] == tempRoot {
		return fmt.Errorf("%w: %.64q", ErrKey, key)
	}
	for _, p := range parts {
		if !goodPart(p) {
			return fmt.Errorf("%w: %.64q", ErrKey, key)
		}
	}
	return nil
}

func goodPart(p string) bool {
	if p == "" || len(p) > maxPart || strings.IndexByte("-_.%", p[0]) >= 0 {
		return false
	}
	for i := range len(p) {
		if !plain(p[i]) {
			return false
		}
	}
	return true
}

// Kinds are the folders of a store that hold objects of jobs, and files of packages.
var Kinds = []string{"results", "logs", "series", "files", "outputs", "aside", "checkpoints", "packages"}

// JobObjects names a job and the number of its newest attempt.
type JobObjects struct {
	ID       string
	Attempts int
}

// shardsOf returns the folders in which the names of a job's objects are not known in advance:
// those of its files and its checkpoints.
func shardsOf(id string) []string {
	return []string{path.Dir(FileKey(id, 1, "x")), path.Dir(CheckpointKey(id, 1, 1))}
}

// jobKeys returns the keys of all objects of a job but its files and checkpoints.
func jobKeys(j JobObjects) []string {
	keys := []string{ResultKey(j.ID)}
	for n := 1; n <= j.Attempts; n++ {
		keys = append(keys, LogKey(j.ID, n), SeriesKey(j.ID, n), OutputKey(j.ID, n), AsideKey(j.ID, n))
	}
	return keys
}
