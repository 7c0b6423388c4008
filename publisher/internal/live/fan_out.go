package live

import (
	"runtime"
	"slices"
	"sync"
)

// fanOutLeast is the number of clients from which on sending is divided between
// processors: each send is a system call.
const fanOutLeast = 512

// fanOut calls send for each client of the list and returns after the last call.
func fanOut[C any](list []C, send func(C)) {
	parts := min(runtime.GOMAXPROCS(0), len(list)/fanOutLeast)
	if parts < 2 {
		for _, c := range list {
			send(c)
		}
		return
	}
	var all sync.WaitGroup
	for part := range slices.Chunk(list, (len(list)+parts-1)/parts) {
		all.Go(func() {
			for _, c := range part {
				send(c)
			}
		})
	}
	all.Wait()
}
