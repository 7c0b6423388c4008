package bucket

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/minio/minio-go/v7"
)

const (
	// smallSize is the size up to which an object needs no turn among the large ones.
	smallSize = 1 << 20
	// partSize is the size of the parts of a large object. A server takes 10,000 parts of at
	// least 5 MiB.
	partSize = 8 << 20
	maxParts = 10_000
	// cleanUp is the time to give up what is left of a write that failed.
	cleanUp = 10 * time.Second
	// writerField is the metadata that names one write. After an answer that was lost it
	// tells our own object from another's, where a digest would not.
	writerField = "Runnerbean-Write"
)

// condition is when an object is written.
type condition bool

const (
	always condition = false
	absent condition = true // only if there is none
)

// Create creates an object if it is absent, from r, which it reads to the end. It returns an
// fs.ErrExist for a key that has an object, which may be after a part of r, and the error of r.
// Nothing of the object is there after an error; after an ErrAway all of it may be.
func (b *Bucket) Create(ctx context.Context, key string, r io.Reader) (int64, error) {
	var small bytes.Buffer
	n, err := io.CopyN(&small, r, smallSize)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return 0, err
	case err != nil:
		return n, b.put(ctx, key, small.Bytes(), absent)
	}
	select {
	case b.large <- struct{}{}:
		defer func() { <-b.large }()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	return b.createLarge(ctx, key, io.MultiReader(&small, r))
}

// Put writes an object, whether there is one or not.
func (b *Bucket) Put(ctx context.Context, key string, data []byte) error {
	return b.put(ctx, key, data, always)
}

func (b *Bucket) put(ctx context.Context, key string, data []byte, c condition) error {
	write := rand.Text()
	return b.try(ctx, "put", func() error {
		_, err := b.client.Client.PutObject(ctx, b.Location.Bucket, b.name(key), bytes.NewReader(data), int64(len(data)), options(write, c))
		return b.ours(ctx, key, write, translate(err))
	})
}

func options(write string, c condition) minio.PutObjectOptions {
	o := minio.PutObjectOptions{UserMetadata: map[string]string{writerField: write}, ContentType: "application/octet-stream", PartSize: partSize, DisableMultipart: true}
	if c == absent {
		o.SetMatchETagExcept("*")
	}
	return o
}

// ours turns an fs.ErrExist into success if the object is that of this write: it was
// written by a request whose answer did not come (aws/aws-sdk-java-v2#6580).
func (b *Bucket) ours(ctx context.Context, key, write string, err error) error {
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	// A server may refuse a request before it has read the body, and take that for the next
	// request of the connection (versitygw 1.8.0).
	b.transport.CloseIdleConnections()
	var info minio.ObjectInfo
	look := b.try(ctx, "look at an object", func() (err error) {
		info, err = b.client.StatObject(ctx, b.Location.Bucket, b.name(key), minio.StatObjectOptions{})
		return translate(err)
	})
	switch {
	case errors.Is(look, fs.ErrNotExist):
		return &lastError{errors.New("the object was removed while it was written")}
	case look != nil:
		return &lastError{look}
	case info.UserMetadata[writerField] == write:
		return nil
	}
	return err
}

// createLarge sends an object in parts, of which it holds one at a time.
func (b *Bucket) createLarge(ctx context.Context, key string, r io.Reader) (total int64, err error) {
	u := upload{bucket: b, ctx: ctx, name: b.name(key), write: rand.Text()}
	err = b.try(ctx, "begin an upload", func() (err error) {
		u.id, err = b.client.NewMultipartUpload(ctx, b.Location.Bucket, u.name, options(u.write, always))
		return translate(err)
	})
	if err != nil {
		return 0, err
	}
	if total, err = u.send(r); err == nil {
		err = u.complete(key)
	}
	if err != nil {
		u.abort()
		return 0, err
	}
	return total, nil
}

// upload is one large object on its way.
type upload struct {
	bucket *Bucket
	ctx    context.Context
	name   string
	id     string
	write  string
	parts  []minio.CompletePart
}

func (u *upload) send(r io.Reader) (total int64, err error) {
	part := make([]byte, partSize)
	for {
		n, err := io.ReadFull(r, part)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return total, err
		}
		end := err != nil
		if n > 0 {
			if err := u.sendPart(part[:n]); err != nil {
				return total, err
			}
			total += int64(n)
		}
		if end {
			return total, nil
		}
	}
}

func (u *upload) sendPart(data []byte) error {
	number := len(u.parts) + 1
	if number > maxParts {
		return fmt.Errorf("%w: an object has at most %d parts of %d bytes", ErrFull, maxParts, partSize)
	}
	return u.bucket.try(u.ctx, "send a part", func() error {
		part, err := u.bucket.client.PutObjectPart(u.ctx, u.bucket.Location.Bucket, u.name, u.id, number, bytes.NewReader(data), int64(len(data)), minio.PutObjectPartOptions{})
		if err == nil {
			u.parts = append(slices.Clip(u.parts), minio.CompletePart{PartNumber: number, ETag: part.ETag, ChecksumCRC32C: part.ChecksumCRC32C})
		}
		return translate(err)
	})
}

// complete makes an object of the parts, if there is none.
func (u *upload) complete(key string) error {
	o := minio.PutObjectOptions{}
	o.SetMatchETagExcept("*")
	return u.bucket.try(u.ctx, "complete an upload", func() error {
		_, err := u.bucket.client.CompleteMultipartUpload(u.ctx, u.bucket.Location.Bucket, u.name, u.id, u.parts, o)
		if answer(err).Code == "NoSuchUpload" { // completed by a request whose answer did not come, or by nobody
			err = fs.ErrExist
		}
		return u.bucket.ours(u.ctx, key, u.write, translate(err))
	})
}

// abort frees the parts. Parts that stay after a crash are not to be seen; a lifecycle rule of
// the bucket (AbortIncompleteMultipartUpload) removes them.
func (u *upload) abort() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), cleanUp)
	defer cancel()
	_ = u.bucket.client.AbortMultipartUpload(ctx, u.bucket.Location.Bucket, u.name, u.id)
}
