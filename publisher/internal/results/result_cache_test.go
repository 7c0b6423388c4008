package results

import (
	"fmt"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache(20_000)
	list := make([]*stored, 12)
	for i := range list {
		list[i] = &stored{id: fmt.Sprint(i), blob: httpio.NewCachedResponse(make([]byte, 500), time.Now(), httpio.TypeJSON, httpio.NoStore, "")}
		c.add(list[i])
		c.get("0") // in use, so it stays
	}
	if c.used > 20_000 || c.recent.Len() != len(c.entries) || c.get("0") != list[0] || c.get("1") != nil || c.get("11") != list[11] {
		t.Errorf("%d bytes, %d entries", c.used, len(c.entries))
	}
	used := c.used
	if c.add(list[11]); c.used != used {
		t.Errorf("%d bytes after a second add, before %d", c.used, used)
	}
}
