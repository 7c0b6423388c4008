package store

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// identityFile names the store. It is at the top of the folder, so that an empty
	// mount point does not have it.
	identityFile = "identity"
	maxIdentity  = 4096 // bytes
	// idLength is the number of characters of an id. It has 50 random bits.
	idLength = 10
)

// restoringFile marks a folder into which a restore writes. All that is beside it comes
// from the restore.
const restoringFile = "restoring"

// ErrDetached is returned by Attached if the path of the store does not lead to the
// folder that is open.
var ErrDetached = errors.New("store: the folder was moved, removed or unmounted")

// Identity says which store a folder is, and which ledger it belongs to.
type Identity struct {
	Store  string `json:"store"`
	Ledger string `json:"ledger"`
}

// Found is what a folder holds, without opening a store there.
type Found struct {
	Folder   string
	Identity Identity // zero if there is none
	Results  bool     // it has at least one result
	// Restoring says that a restore into the folder has not come to its end.
	Restoring bool
}

// Inspect looks at the folder of a store and changes nothing. A folder that does not
// exist holds nothing.
func Inspect(url string) (found Found, err error) {
	if found.Folder, err = folderOf(url); err != nil {
		return found, err
	}
	root, err := os.OpenRoot(found.Folder)
	if errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	if err != nil {
		return found, fmt.Errorf("store: %w", err)
	}
	defer root.Close()
	if found.Identity, err = readIdentity(root); err != nil {
		return found, err
	}
	_, err = root.Lstat(restoringFile)
	found.Restoring = err == nil
	found.Results, err = hasResults(root)
	return found, err
}

// hasResults looks for one file in the folders of results.
func hasResults(root *os.Root) (bool, error) {
	shards, err := fs.ReadDir(root.FS(), "results")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	for _, shard := range shards {
		dir, err := root.Open(filepath.Join("results", shard.Name()))
		if err != nil {
			return false, fmt.Errorf("store: %w", err)
		}
		names, err := dir.Readdirnames(1)
		_ = dir.Close()
		if len(names) > 0 {
			return true, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return false, fmt.Errorf("store: %w", err)
		}
	}
	if err != nil {
		return false, fmt.Errorf("store: %w", err)
	}
	return false, nil
}

// readIdentity returns the zero Identity if there is none.
func readIdentity(root *os.Root) (Identity, error) {
	f, err := root.Open(identityFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, nil
	}
	if err != nil {
		return Identity{}, fmt.Errorf("store: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxIdentity))
	if err != nil {
		return Identity{}, fmt.Errorf("store: %s: %w", identityFile, err)
	}
	id, err := parseIdentity(text)
	if err != nil {
		return id, fmt.Errorf("store: %s is not the identity of a store: %w", filepath.Join(root.Name(), identityFile), err)
	}
	return id, nil
}

func parseIdentity(text []byte) (id Identity, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&id); err != nil {
		return Identity{}, err
	}
	if d.More() || !goodID(id.Store) || !goodID(id.Ledger) {
		return Identity{}, errors.New("it is to hold the ids of a store and of a ledger")
	}
	return id, nil
}

// text is the content of the file.
func (id Identity) text() ([]byte, error) {
	text, err := json.Marshal(id)
	return append(text, '\n'), err
}

func goodID(id string) bool {
	return len(id) == idLength && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// NewIdentity returns the identity of a new store of a ledger.
func NewIdentity(ledger string) Identity {
	return Identity{Store: strings.ToLower(rand.Text())[:idLength], Ledger: ledger}
}

// Identity returns the identity of the store; zero if it has none.
func (s *Store) Identity() (Identity, error) { return readIdentity(s.root) }

// Identify gives the store an identity unless it has one, and returns the one that it
// has then. Of several processes that call it at once, one succeeds. It is synced.
func (s *Store) Identify(id Identity) (Identity, error) {
	if err := s.writeIdentity(id, s.root.Link); err != nil && !errors.Is(err, fs.ErrExist) {
		return Identity{}, fmt.Errorf("store: identity: %w", full(err))
	}
	// A restore was killed after its last step.
	if err := s.root.Remove(restoringFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Identity{}, fmt.Errorf("store: %w", err)
	}
	if err := s.top.Sync(); err != nil {
		return Identity{}, fmt.Errorf("store: identity: %w", err)
	}
	return s.Identity()
}

// SetIdentity replaces the identity of the store. It is synced.
func (s *Store) SetIdentity(id Identity) error {
	err := s.writeIdentity(id, s.root.Rename)
	if err = errors.Join(err, s.top.Sync()); err != nil {
		return fmt.Errorf("store: identity: %w", full(err))
	}
	return nil
}

// writeIdentity writes a temporary file and then puts it in its place.
func (s *Store) writeIdentity(id Identity, place func(from, to string) error) error {
	text, err := id.text()
	if err != nil {
		return err
	}
	f, name, err := s.temp.create()
	if err != nil {
		return err
	}
	defer func() { _ = s.root.Remove(name) }()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return place(name, identityFile)
}

// Attached returns nil if the path of the store leads to the folder that is open, with
// the identity id. Otherwise it returns an ErrDetached or the error of the look. The
// store goes on in the open folder: it never writes to what has taken its place.
func (s *Store) Attached(id Identity) error {
	named, err := os.Stat(s.root.Name())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDetached, err)
	}
	open, err := s.top.Stat()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDetached, err)
	}
	if !os.SameFile(named, open) {
		return fmt.Errorf("%w: another folder is at %s now", ErrDetached, s.root.Name())
	}
	now, err := s.Identity()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDetached, err)
	}
	if now != id {
		return fmt.Errorf("%w: the identity in %s has changed", ErrDetached, s.root.Name())
	}
	return nil
}
