package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/minio/minio-go/v7"
)

// Object is an open object. A seek is free; the next read asks for the object from there on.
// A read that is cut off goes on where it was. It is not for use at the same time.
type Object struct {
	Size    int64 // bytes
	ModTime time.Time

	bucket *Bucket
	ctx    context.Context
	name   string
	tag    string
	write  string        // the write that made it, see writerField
	body   io.ReadCloser // nil: the next read opens it at offset
	offset int64
	fails  int // reads in a row that brought nothing
}

// Get opens an object for reading; fs.ErrNotExist where there is none. ctx bounds its reads.
// The caller closes it. An object of at most smallSize is read at once, so that it is that of
// one moment even if it is replaced meanwhile.
func (b *Bucket) Get(ctx context.Context, key string) (*Object, error) {
	o := &Object{bucket: b, ctx: ctx, name: b.name(key)}
	if err := o.open(); err != nil {
		return nil, err
	}
	if o.Size <= smallSize {
		if err := o.hold(); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// Version tells the object from any other that has had its key or will have it: its ETag and
// the random name of the write that made it.
func (o *Object) Version() string { return version(o.tag, o.write) }

func version(tag, write string) string { return tag + " " + write }

// Version asks for the version of the object that has a key now; fs.ErrNotExist where there
// is none.
func (b *Bucket) Version(ctx context.Context, key string) (string, error) {
	var info minio.ObjectInfo
	err := b.read(ctx, "look at an object", func() (err error) {
		info, err = b.client.StatObject(ctx, b.Location.Bucket, b.name(key), minio.StatObjectOptions{})
		return translate(err)
	})
	return version(info.ETag, info.UserMetadata[writerField]), err
}

// Again returns the same object for another reader, from its first byte. It makes no request
// before the first read. ctx bounds its reads. The caller closes it.
func (o *Object) Again(ctx context.Context) *Object {
	return &Object{Size: o.Size, ModTime: o.ModTime, bucket: o.bucket, ctx: ctx, name: o.name, tag: o.tag, write: o.write}
}

// hold reads the object into memory. If it is replaced meanwhile, the new one is read.
func (o *Object) hold() error {
	for range tries {
		data := make([]byte, o.Size)
		_, err := io.ReadFull(o, data)
		o.drop()
		switch {
		case err == nil:
			o.body, o.offset = memory{bytes.NewReader(data)}, 0
			return nil
		case !errors.Is(err, errReplaced):
			return err
		}
		o.tag, o.offset = "", 0
		if err := o.open(); err != nil {
			return err
		}
		if o.Size > smallSize { // it has grown; reads ask for it in parts
			return nil
		}
	}
	o.drop()
	return errReplaced
}

// memory is the body of an object that was read.
type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

var errReplaced = fmt.Errorf("%w: it was replaced while it was read", fs.ErrNotExist)

func (o *Object) open() error {
	return o.bucket.read(o.ctx, "get", func() error {
		options := minio.GetObjectOptions{}
		if o.tag != "" {
			if err := options.SetMatchETag(o.tag); err != nil {
				return err
			}
		}
		if o.offset > 0 {
			if err := options.SetRange(o.offset, 0); err != nil {
				return err
			}
		}
		body, info, _, err := o.bucket.client.GetObject(o.ctx, o.bucket.Location.Bucket, o.name, options)
		if err != nil {
			if err = translate(err); errors.Is(err, fs.ErrExist) { // 412: it is not the object that was opened
				err = errReplaced
			}
			return err
		}
		if info.Size < 0 || info.ETag == "" {
			_ = body.Close()
			return &lastError{errors.New("the server says neither size nor ETag of an object: both are required")}
		}
		o.body = body
		if o.tag == "" {
			o.Size, o.ModTime, o.tag, o.write = info.Size, info.LastModified, info.ETag, info.UserMetadata[writerField]
		}
		return nil
	})
}

// Read implements io.Reader.
func (o *Object) Read(p []byte) (int, error) {
	for len(p) > 0 {
		if o.offset >= o.Size {
			return 0, io.EOF
		}
		if o.body == nil {
			if err := o.open(); err != nil {
				return 0, err
			}
		}
		n, err := o.body.Read(p[:min(int64(len(p)), o.Size-o.offset)])
		o.offset += int64(n)
		if n > 0 {
			o.fails = 0
			return n, nil
		}
		if err == nil {
			continue
		}
		o.drop()
		if o.fails++; o.fails == tries || o.ctx.Err() != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
	return 0, nil
}

// Seek implements io.Seeker.
func (o *Object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.offset
	case io.SeekEnd:
		offset += o.Size
	}
	if offset < 0 {
		return 0, errors.New("bucket: seek before the beginning of an object")
	}
	if m, ok := o.body.(memory); ok {
		o.offset = offset
		return m.Seek(offset, io.SeekStart)
	}
	if offset != o.offset {
		o.drop()
		o.offset = offset
	}
	return offset, nil
}

func (o *Object) drop() {
	if o.body != nil {
		_ = o.body.Close()
		o.body = nil
	}
}

// Close ends the request that is open.
func (o *Object) Close() error {
	o.drop()
	return nil
}
