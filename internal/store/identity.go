package store

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
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

// Identity says which store a folder is, and which ledger it belongs to.
type Identity struct {
	Store  string `json:"store"`
	Ledger string `json:"ledger"`
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
