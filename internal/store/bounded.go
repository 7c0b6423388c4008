package store

import "io"

// Bounded reads from r, and fails with ErrTooBig where r has more than limit
// bytes, so that CreateFrom makes no object of a stream that is too long.
func Bounded(r io.Reader, limit int64) io.Reader { return &bounded{r: r, left: max(0, limit)} }

type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if int64(n) > b.left {
		n, b.left = int(b.left), 0
		return n, ErrTooBig
	}
	b.left -= int64(n)
	return n, err
}
