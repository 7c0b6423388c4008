package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
)

// maxKeys bounds the file of keys, and each key in it, in bytes.
const maxKeys = 8 << 20

// keys are what an archive is without.
type keys struct {
	Format  int               `json:"format"`
	Ledger  string            `json:"ledger"`
	Secrets map[string]string `json:"secrets,omitempty"` // of the pool, in the ledger
	// Files are the contents of the files of keys and tokens, by setting.
	Files map[string][]byte `json:"files,omitempty"`
}

// keyFiles are the files that settings name.
func keyFiles(set settings.Settings) map[string]string {
	return map[string]string{
		settings.EnvPrefix + "WEBHOOK_KEY_FILE": set.WebhookKey,
		settings.EnvPrefix + "URL_KEY_FILE":     set.URLKeyFile,
		settings.EnvPrefix + "TOKENS_FILE":      set.TokensFile,
	}
}

// writeKeys writes keys, tokens and secrets to a file that only its owner can read.
func writeKeys(set settings.Settings, file, ledger string, secrets map[string]string) (err error) {
	k := keys{Format: format, Ledger: ledger, Secrets: secrets, Files: map[string][]byte{}}
	for name, path := range keyFiles(set) {
		if path == "" {
			continue
		}
		text, err := readBounded(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		k.Files[name] = text
	}
	text, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(file, text)
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeys+1))
	if err == nil && len(text) > maxKeys {
		err = fmt.Errorf("%s is too large for a file of keys", path)
	}
	return text, err
}

// readKeys reads a file of keys. An empty name stands for no keys.
func readKeys(file string) (k keys, err error) {
	if file == "" {
		return k, nil
	}
	text, err := readBounded(file)
	if err != nil {
		return k, err
	}
	if k, err = parseKeys(text); err != nil {
		return k, fmt.Errorf("%s is not a file of keys: %w", file, err)
	}
	return k, nil
}

func parseKeys(text []byte) (k keys, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&k); err != nil {
		return keys{}, err
	}
	if k.Format != format {
		return keys{}, fmt.Errorf("its format is %d, and this program reads %d", k.Format, format)
	}
	return k, nil
}

// check returns an error if the keys cannot be put in their places.
func (k *keys) check(set settings.Settings, ledger string) error {
	if k.Format != 0 && k.Ledger != ledger {
		return fmt.Errorf("the keys are of the ledger %s, and the archive is of %s", k.Ledger, ledger)
	}
	places := keyFiles(set)
	for name, text := range k.Files {
		path, known := places[name]
		if !known {
			return fmt.Errorf("the file of keys has something for %.40q, which is no setting of a key", name)
		}
		if path == "" {
			return fmt.Errorf("the keys of %s have no place: set it to the file that they go to", name)
		}
		now, err := readBounded(path)
		if err == nil && !bytes.Equal(now, text) {
			return fmt.Errorf("%s has other keys than the backup: move it away", path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// restore puts the files of keys in their places.
func (k *keys) restore(set settings.Settings) error {
	places := keyFiles(set)
	for name, text := range k.Files {
		if err := os.MkdirAll(filepath.Dir(places[name]), 0o750); err != nil {
			return err
		}
		if err := writeFile(places[name], text); err != nil {
			return err
		}
	}
	return nil
}
