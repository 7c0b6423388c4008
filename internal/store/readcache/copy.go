package readcache

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

const (
	// maxID bounds the id in the name of a file, which has 255 bytes at most.
	maxID = 128
	// maxTrailer bounds what stands behind the object in its file.
	maxTrailer = 4 << 10
	tempPrefix = "tmp."
)

// A file has the object from its first byte, and a trailer behind it. Its name has the id of
// the job, a digest of the key and the size of the object: a walk of the folder reads no file.

// trailer says which object a file is a copy of.
type trailer struct {
	Key     string    `json:"key"`
	Version string    `json:"version"`
	ModTime time.Time `json:"mod_time"`
	SHA256  string    `json:"sha256"`
}

// nameOf returns the name of the copy of an object, without its size; "" for a key whose
// object is not copied.
func nameOf(key string) string {
	id, _, _ := strings.Cut(path.Base(key), ".")
	if len(id) > maxID {
		return ""
	}
	sum := sha256.Sum256([]byte(key))
	return id + "." + hex.EncodeToString(sum[:16])
}

// idOf returns the id in a name.
func idOf(name string) string {
	id, _, _ := strings.Cut(name, ".")
	return id
}

func fileOf(name string, size int64) string { return name + "." + strconv.FormatInt(size, 10) }

// parseFile is the reverse of fileOf.
func parseFile(file string) (name string, size int64, ok bool) {
	parts := strings.Split(file, ".")
	if len(parts) != 3 {
		return "", 0, false
	}
	size, err := strconv.ParseInt(parts[2], 10, 64)
	name = parts[0] + "." + parts[1]
	return name, size, err == nil && size >= 0 && fileOf(name, size) == file
}

// seal writes the trailer behind an object.
func seal(w io.Writer, t trailer, digest hash.Hash) error {
	t.SHA256 = hex.EncodeToString(digest.Sum(nil))
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if len(text) > maxTrailer {
		return errors.New("the version of the object is too long")
	}
	_, err = w.Write(text)
	return err
}

// check reads a whole copy and returns its trailer. A copy is not synced: after a power cut it
// may be anything.
func check(f *os.File, size int64) (t trailer, err error) {
	digest := sha256.New()
	if n, err := io.Copy(digest, io.NewSectionReader(f, 0, size)); err != nil || n != size {
		return t, fmt.Errorf("%d of %d bytes: %w", n, size, errors.Join(err, io.ErrUnexpectedEOF))
	}
	text, err := io.ReadAll(io.NewSectionReader(f, size, maxTrailer+1))
	if err == nil {
		err = json.Unmarshal(text, &t)
	}
	if err == nil && t.SHA256 != hex.EncodeToString(digest.Sum(nil)) {
		err = errors.New("the digest of the copy is another one")
	}
	return t, err
}
