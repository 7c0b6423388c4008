//go:build unix

package process

import (
	"runtime"
	"sync"
)

// buffers are what a run needs and a later run can use again.
type buffers struct {
	data  []byte
	waker waker
}

var bufferPool = sync.Pool{New: func() any { return &buffers{data: make([]byte, 64<<10)} }}

// takeBuffers returns buffers from the pool. Their waker is closed when the
// garbage collector frees them.
func takeBuffers() (*buffers, error) {
	b := bufferPool.Get().(*buffers)
	if b.waker.open {
		return b, nil
	}
	if err := b.waker.init(); err != nil {
		return nil, err
	}
	runtime.AddCleanup(b, closeWaker, b.waker)
	return b, nil
}
