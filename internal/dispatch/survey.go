package dispatch

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/api"
)

// surveyEvery is how often the lists of the servers' tubes are looked at.
const surveyEvery = 5 * time.Second

// survey finds out from the list of a server's tubes who else is there.
type survey struct {
	next time.Time
	old  oldTubes

	mu     sync.Mutex
	shared map[string][]api.SharedInbox // by the server's address
}

// run looks at the tubes of every server, if it is time.
func (s *survey) run(ctx context.Context, d *Dispatcher, living map[string]string) {
	if now := time.Now(); now.Before(s.next) {
		return
	}
	s.next = time.Now().Add(surveyEvery)
	for _, addr := range living {
		tubes, err := d.producer.Tubes(ctx, addr)
		if err != nil {
			d.warn(ctx, "cannot list the tubes of beanstalkd", err)
			continue
		}
		s.old.empty(ctx, addr, tubes)
		readers, err := readersAmong(ctx, d.producer, addr, d.cfg.Prefix, tubes)
		if err != nil {
			d.warn(ctx, "cannot ask beanstalkd who takes from the inbox", err)
			continue
		}
		found := Sharing(addr, d.cfg.Prefix, d.inboxReader(), readers)
		copies, err := d.copies(ctx, readers)
		d.warn(ctx, "cannot ask which nodes have this ledger", err)
		if len(copies) > 0 {
			found = append(found, copyOf(addr, d.runTube(""), copies))
		}
		s.tell(d, addr, found)
	}
}

// tell keeps what was found and logs what is new.
func (s *survey) tell(d *Dispatcher, addr string, found []api.SharedInbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range found {
		if !slices.ContainsFunc(s.shared[addr], func(old api.SharedInbox) bool { return old.Text == f.Text }) {
			d.log.Warn(f.Text, "node", d.cfg.Node)
		}
	}
	if s.shared == nil {
		s.shared = map[string][]api.SharedInbox{}
	}
	s.shared[addr] = found
}

// sharedInboxes is what the last look has found on a server.
func (s *survey) sharedInboxes(addr string) []api.SharedInbox {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shared[addr]
}
