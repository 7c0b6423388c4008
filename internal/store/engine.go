package store

import (
	"context"
	"io"
	"time"
)

// Object is an open object. The caller closes it. ReadSeekCloser is an *os.File in a
// folder, so that a server may let the kernel send it. In a bucket a seek is free, and the
// next read asks for the object from there on.
type Object struct {
	io.ReadSeekCloser
	Size    int64 // bytes
	ModTime time.Time
}

// Found is what a folder or a bucket holds, without opening a store there.
type Found struct {
	Folder   string   // or the URL of the bucket
	Identity Identity // zero if there is none
	Results  bool     // it has at least one result
	// Restoring says that a restore into the folder has not come to its end.
	Restoring bool
}

// engine is where the objects are: a folder or a bucket. Keys are well formed.
type engine interface {
	// create reads r to the end. It returns an fs.ErrExist for a key that has an object.
	create(ctx context.Context, key string, r io.Reader) (n int64, err error)
	replace(ctx context.Context, key string, data []byte) error
	// open and remove return an fs.ErrNotExist for a key that has no object. A bucket
	// removes what is not there without an error.
	open(ctx context.Context, key string) (*Object, error)
	remove(ctx context.Context, key string) error
	removeJobs(ctx context.Context, list []JobObjects) error
	jobSize(ctx context.Context, j JobObjects) (int64, error)

	// Identity returns the identity of the store; zero if it has none.
	Identity() (Identity, error)
	// Identify gives the store an identity unless it has one, and returns the one that
	// it has then. Of several processes that call it at once, one succeeds. It is synced.
	Identify(id Identity) (Identity, error)
	// SetIdentity replaces the identity of the store. It is synced.
	SetIdentity(id Identity) error
	// Attached returns nil if the store is still the one that was opened, with the
	// identity id. Otherwise it returns what is wrong and what to do. The store goes on where
	// it was opened: it never writes to what has taken its place.
	Attached(ctx context.Context, id Identity) error

	// Failed returns a channel that is closed after the disk failed to sync a folder. From
	// then on Create returns ErrReopen, and Err returns the cause.
	Failed() <-chan struct{}
	// Err returns an ErrReopen with its cause, or nil while the store works.
	Err() error
	// Close gives up what the store holds. Open objects stay open.
	Close() error
}
