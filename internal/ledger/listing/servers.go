package listing

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// maxServers is how many instances of servers may have messages at once; a
// server makes a new one at each start.
const maxServers = 256

var qNextServer = engine.NewQuery("SELECT server FROM jobs WHERE state = 'queued' AND server > ? ORDER BY server LIMIT 1")

// Servers lists "" and the servers that have messages of queued jobs. It
// leaps from one to the next in the index, so that it costs the same with a
// million jobs.
func Servers(ctx context.Context, r engine.Reader) ([]string, error) {
	list := []string{""}
	for len(list) < maxServers {
		var next string
		found, err := r.Row(ctx, qNextServer, []any{list[len(list)-1]}, &next)
		if err != nil || !found {
			return list, err
		}
		list = append(list, next)
	}
	return list, nil
}
