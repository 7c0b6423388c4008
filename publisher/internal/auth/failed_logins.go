package auth

import (
	"context"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// maxFailureEvents bounds the events about wrong tokens in a minute, so that they
// do not fill the ledger.
const maxFailureEvents = 10

// failureEvents counts the events about wrong tokens. Its zero value is ready.
type failureEvents struct {
	mu     sync.Mutex
	minute time.Time
	events int
}

// next reports whether another wrong token gets an event, and whether that is the
// last event of this minute.
func (f *failureEvents) next(now time.Time) (ok, last bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if minute := now.Truncate(time.Minute); !minute.Equal(f.minute) {
		f.minute, f.events = minute, 0
	}
	f.events++
	return f.events <= maxFailureEvents, f.events == maxFailureEvents
}

// noteFailure records that a token was refused. expired is the token where it is
// one of this node, and else zero.
func (a *Auth) noteFailure(c echo.Context, expired access.Token) {
	ok, last := a.events.next(time.Now())
	if !ok {
		return
	}
	from := c.RealIP()
	if behind := httpio.ForwardedAddress(c.Request()); behind != from {
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
	event := eventlog.Event{Kind: "login-failed", Node: a.cfg.Node, Message: message}
	if err := a.cfg.Events.Note(context.WithoutCancel(c.Request().Context()), event); err != nil {
		a.cfg.Logger.Warn("an event about a wrong token is not recorded", "err", err)
	}
}
