package live

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/runnerbean/runnerbean/internal/panics"
)

// fanOutLeast is the number of clients from which on sending is divided between
// processors: each send is a system call.
const fanOutLeast = 512

// fanOut calls send for each client of the list and returns after the last call. A panic
// of send reaches the caller, which recovers it, whichever goroutine it is in.
func fanOut[C any](list []C, send func(C)) {
	parts := min(runtime.GOMAXPROCS(0), len(list)/fanOutLeast)
	if parts < 2 {
		for _, c := range list {
			send(c)
		}
		return
	}
	var all sync.WaitGroup
	var caught atomic.Pointer[panics.Error]
	for part := range slices.Chunk(list, (len(list)+parts-1)/parts) {
		all.Go(func() {
			err := panics.Catch(func() {
				for _, c := range part {
					send(c)
				}
			})
			if err != nil {
				caught.Store(err)
			}
		})
	}
	all.Wait()
	if err := caught.Load(); err != nil {
		panic(err)
	}
}
