package pool

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// maxBaseURLs is how many base URLs are kept: those that a node had last.
const maxBaseURLs = 1000

var (
	qNodeURLs      = engine.NewQuery("SELECT DISTINCT base_url FROM nodes WHERE base_url <> ''")
	qRememberURL   = engine.NewQuery("INSERT INTO base_urls (url, seen) VALUES (?, ?) ON CONFLICT (url) DO UPDATE SET seen = excluded.seen")
	qURLPast       = engine.NewQuery("SELECT seen FROM base_urls ORDER BY seen DESC LIMIT 1 OFFSET ?")
	qForgetURLs    = engine.NewQuery("DELETE FROM base_urls WHERE seen <= ?")
	qIsBaseURL     = engine.NewQuery("SELECT 1 FROM base_urls WHERE url = ?")
	qNewestBaseURL = engine.NewQuery("SELECT url FROM base_urls ORDER BY seen DESC LIMIT ?")
)

// RememberURLs records a base URL, and those of all listed nodes: a node of an older
// version does not do that itself.
func RememberURLs(t engine.Tx, own string) error {
	list, err := t.Strings(qNodeURLs)
	for _, url := range append(list, own) {
		if url = Canonical(url); err == nil && url != "" {
			_, err = t.Exec(qRememberURL, url, engine.Micros(t.Now()))
		}
	}
	if err != nil {
		return err
	}
	// Those of listed nodes all have the time of now, so none of them is deleted.
	var past int64
	many, err := t.Row(qURLPast, []any{maxBaseURLs}, &past)
	if err != nil || !many || past >= engine.Micros(t.Now()) {
		return err
	}
	_, err = t.Exec(qForgetURLs, past)
	return err
}

// URLs decides which URLs the pool itself serves. Its methods may be called at the same time.
type URLs struct {
	known map[string]bool
	mu    sync.Mutex
	found map[string]bool // in the ledger, which keeps them; at most maxBaseURLs
}

// NewURLs returns a decision that knows the base URLs of list beside those of the
// ledger.
func NewURLs(list ...string) *URLs {
	u := &URLs{known: map[string]bool{}, found: map[string]bool{}}
	for _, base := range list {
		if base = Canonical(base); base != "" {
			u.known[base] = true
		}
	}
	return u
}

// Serves reports whether a URL is a base URL of the pool or below one. row reads the
// ledger.
func (u *URLs) Serves(url string, row func(q *engine.Query, args []any, dest ...any) (bool, error)) (bool, error) {
	list := prefixes(url)
	if slices.ContainsFunc(list, u.knows) {
		return true, nil
	}
	for _, prefix := range list {
		var one int
		if found, err := row(qIsBaseURL, []any{prefix}, &one); found || err != nil {
			u.remember(prefix, found && err == nil)
			return found, err
		}
	}
	return false, nil
}

func (u *URLs) knows(prefix string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.known[prefix] || u.found[prefix]
}

func (u *URLs) remember(prefix string, found bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if found && len(u.found) < maxBaseURLs {
		u.found[prefix] = true
	}
}

// BaseURLs returns the base URLs that nodes of the ledger have had, the newest first; at
// most limit.
func (p *Pool) BaseURLs(ctx context.Context, limit int) (list []string, err error) {
	defer p.ledger.Observe("base-urls", time.Now(), &err)
	err = p.ledger.Each(ctx, qNewestBaseURL, []any{limit}, func(row engine.Row) error {
		var url string
		err := row.Scan(&url)
		list = append(list, url)
		return err
	})
	return list, engine.Wrap("base URLs", err)
}
