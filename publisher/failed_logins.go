package publisher

import (
	"context"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/internal/ledger"
)

// maxLoginEvents is how many wrong tokens get an event in a minute. Whoever
// sends more must not fill the ledger.
const maxLoginEvents = 10

// failedLogins counts the events about wrong tokens. The zero value is ready.
type failedLogins struct {
	mu     sync.Mutex
	minute time.Time
	events int
}

// next reports whether another wrong token gets an event, and whether that is
// the last one of this minute.
func (f *failedLogins) next(now time.Time) (ok, last bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if minute := now.Truncate(time.Minute); !minute.Equal(f.minute) {
		f.minute, f.events = minute, 0
	}
	f.events++
	return f.events <= maxLoginEvents, f.events == maxLoginEvents
}

// noteRefused records that a token was refused. expired is its entry where it
// is one of this node.
func (p *Publisher) noteRefused(c echo.Context, expired access.Token) {
	ok, last := p.refused.next(time.Now())
	if !ok {
		return
	}
	from := c.RealIP()
	if behind := forwarded(c.Request()); behind != from {
		from = behind + " through " + from // a private address may be a proxy, or claim to be one
	}
	message := "a wrong token came from " + from
	if expired.Name != "" {
		message = "the token " + expired.Name + ", which has expired, came from " + from
	}
	message += ", for " + c.Request().Method + " " + c.Path()
	if last {
		message += "; further ones of this minute get no event"
	}
	event := ledger.Event{Kind: "login-failed", Node: p.cfg.Node, Message: message}
	if err := p.cfg.Ledger.Note(context.WithoutCancel(c.Request().Context()), event); err != nil {
		p.log.Warn("an event about a wrong token is not recorded", "err", err)
	}
}
