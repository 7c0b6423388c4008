package access

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// minKey is the length in bytes of the shortest key that signs URLs.
const minKey = 32

var errNoKey = errors.New("holds no key: put a line of at least 32 random characters in it, as openssl rand -base64 32 prints")

// Keys sign the URLs of results. The first key of the file signs and every key verifies,
// so that a new key can be added while URLs of an old one are still in use.
type Keys struct{ file *watchedFile[[][]byte] }

// OpenKeys reads a file with one key on each line. It reloads the file after it changes.
func OpenKeys(path string, log *slog.Logger) (*Keys, error) {
	k := &Keys{file: &watchedFile[[][]byte]{
		paths: []string{path}, setting: "RUNNERBEAN_URL_KEY_FILE", log: log,
		parse: func(contents []string) ([][]byte, error) { return parseKeys(contents[0]) },
	}}
	return k, k.file.open()
}

// All returns the current keys, at least one.
func (k *Keys) All() [][]byte { return k.file.get() }

// Reload reads the file now and logs what has come of it. A file with a fault changes
// nothing.
func (k *Keys) Reload() { k.file.reload() }

func parseKeys(text string) ([][]byte, error) {
	var keys [][]byte
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case len(line) < minKey:
			return nil, fmt.Errorf("line %d: a key has at least %d bytes", number, minKey)
		case len(keys) == 8:
			return nil, fmt.Errorf("line %d: more than 8 keys", number)
		default:
			keys = append(keys, []byte(line))
		}
	}
	if len(keys) == 0 {
		return nil, errNoKey
	}
	return keys, nil
}
