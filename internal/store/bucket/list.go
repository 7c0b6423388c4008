package bucket

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"
)

// perPage is how many keys the server lists in one answer, and the most that it removes at
// the word of one request.
const perPage = 1000

// Info is one object of a list.
type Info struct {
	Key  string
	Size int64 // bytes
}

// List yields the objects whose keys begin with prefix, sorted. An error ends it.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		after := ""
		for more := true; more; {
			var page []Info
			err := b.read(ctx, "list", func() (err error) {
				page, more, err = b.page(ctx, prefix, after)
				return err
			})
			if err != nil {
				yield(Info{}, err)
				return
			}
			for _, o := range page {
				if !yield(o, nil) {
					return
				}
				after = o.Key
			}
		}
	}
}

// page returns the next objects after a key, and whether there may be more. A fault after the
// first object is left to the next call, so that a long list does not begin again.
func (b *Bucket) page(ctx context.Context, prefix, after string) (page []Info, more bool, err error) {
	options := minio.ListObjectsOptions{Prefix: b.name(prefix), Recursive: true, MaxKeys: perPage}
	if after != "" {
		options.StartAfter = b.name(after)
	}
	for o := range b.client.ListObjectsIter(ctx, b.Location.Bucket, options) {
		switch {
		case o.Err != nil && len(page) == 0:
			return nil, true, o.Err
		case o.Err != nil:
			return page, true, nil
		}
		if page = append(page, Info{Key: strings.TrimPrefix(o.Key, b.Location.Prefix), Size: o.Size}); len(page) == perPage {
			return page, true, nil
		}
	}
	return page, false, ctx.Err() // the end of the context ends the list without an error
}

// Remove removes objects. What is not there is no error.
func (b *Bucket) Remove(ctx context.Context, keys ...string) error {
	for len(keys) > 0 {
		page := keys[:min(len(keys), perPage)]
		keys = keys[len(page):]
		if err := b.try(ctx, "remove", func() error { return b.removePage(ctx, page) }); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bucket) removePage(ctx context.Context, keys []string) error {
	if len(keys) == 1 {
		err := translate(b.client.RemoveObject(ctx, b.Location.Bucket, b.name(keys[0]), minio.RemoveObjectOptions{}))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	list := make(chan minio.ObjectInfo, len(keys))
	for _, key := range keys {
		list <- minio.ObjectInfo{Key: b.name(key)}
	}
	close(list)
	var first error
	for failed := range b.client.RemoveObjects(ctx, b.Location.Bucket, list, minio.RemoveObjectsOptions{}) {
		if err := translate(failed.Err); first == nil && !errors.Is(err, fs.ErrNotExist) {
			first = err
		}
	}
	return first
}
