package store

import (
	"io"
	"strconv"
)

// ResultKey is where the result of job id is.
func ResultKey(id string) string { return "results/" + id[len(id)-2:] + "/" + id + ".json" }

// LogKey is where the log of an attempt is.
func LogKey(id string, attempt int) string {
	return "logs/" + id[len(id)-2:] + "/" + id + "." + strconv.Itoa(attempt) + ".log"
}

// FileKey is where the artifact name of an attempt is; any name is safe.
func FileKey(id string, attempt int, name string) string {
	return "files/" + id[len(id)-2:] + "/" + id + "." + strconv.Itoa(attempt) + "." + name
}

// AsideKey is where a result is kept that came after a different one.
func AsideKey(id string, attempt int) string {
	return "aside/" + id[len(id)-2:] + "/" + id + "." + strconv.Itoa(attempt) + ".json"
}

// Bounded reads from r and fails with ErrTooBig after limit bytes if there are
// more, so that CreateFrom makes nothing of a stream that is too long.
func Bounded(r io.Reader, limit int64) io.Reader { return r }
