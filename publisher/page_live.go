package publisher

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/singleflight"

	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	// pageAge is how long a rendered page answers for its URL. live.js waits a
	// little longer after a change, so that what it gets was made after it.
	pageAge = 500 * time.Millisecond
	// pageTime bounds the making of a page that many may wait for.
	pageTime = 10 * time.Second
	// pagesBytes bounds the memory of all rendered pages, maxPageKey what of a
	// request is worth remembering.
	pagesBytes = 16 << 20
	maxPageKey = 1 << 10
	// livePage makes a browser keep a page and ask with its tag each time.
	livePage = "private, no-cache"
	// dashboardPolicy is pagePolicy for pages that have forms.
	dashboardPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

// pages holds pages as they were rendered a moment ago.
type pages struct {
	flight singleflight.Group

	mu   sync.Mutex
	age  int // counts the changes by this node's own visitors
	used int64
	held map[string]rendered
}

type rendered struct {
	page *httpio.CachedResponse
	made time.Time
}

// sendLivePage answers with a page of the dashboard: the template name with what
// view returns. Whoever asks for the same within a moment gets the same; view
// must not depend on more than the URL and what readerKey tells apart.
func (p *Publisher) sendLivePage(c echo.Context, name string, view func(ctx context.Context) (any, error)) error {
	r := c.Request()
	key := p.readerKey(c) + " " + name + " " + r.URL.RequestURI()
	page, err := p.pages.get(key, func() (*httpio.CachedResponse, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), pageTime)
		defer cancel()
		v, err := view(ctx)
		if err != nil {
			return nil, err
		}
		var out bytes.Buffer
		if err := templates.ExecuteTemplate(&out, name, v); err != nil {
			return nil, err
		}
		return httpio.NewCachedResponse(bytes.Clone(out.Bytes()), time.Now(), typeHTML, livePage, "Accept-Encoding, Cookie, Authorization"), nil
	})
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Security-Policy", dashboardPolicy)
	h.Set("Referrer-Policy", "same-origin")
	page.Serve(c.Response(), withoutDates(r))
	return nil
}

// withoutDates leaves the tag as the only condition: a page may change twice in
// a second, which dates cannot tell.
func withoutDates(r *http.Request) *http.Request {
	if r.Header["If-Modified-Since"] == nil {
		return r
	}
	r = r.Clone(r.Context())
	r.Header.Del("If-Modified-Since")
	return r
}

// readerKey tells readers apart who see different pages at one URL.
func (p *Publisher) readerKey(c echo.Context) string {
	return fmt.Sprint(auth.CallerOf(c).Name, " ", p.auth.CanAct(c))
}

// get returns the page of key, made by render at most once at a time.
func (s *pages) get(key string, render func() (*httpio.CachedResponse, error)) (*httpio.CachedResponse, error) {
	page, age := s.look(key)
	if page != nil {
		return page, nil
	}
	v, err, _ := s.flight.Do(fmt.Sprint(age, " ", key), func() (any, error) {
		made := time.Now()
		page, err := render()
		if err == nil {
			s.keep(key, age, rendered{page, made})
		}
		return page, err
	})
	if err != nil {
		return nil, err
	}
	return v.(*httpio.CachedResponse), nil
}

func (s *pages) look(key string) (*httpio.CachedResponse, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.held[key]; ok && time.Since(e.made) < pageAge {
		return e.page, s.age
	}
	return nil, s.age
}

// keep holds a page, unless something was changed while it was made.
func (s *pages) keep(key string, age int, e rendered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.age != age || len(key) > maxPageKey {
		return
	}
	s.dropLocked(func(k string, old rendered) bool { return k == key || time.Since(old.made) >= pageAge })
	if s.used+e.page.Size() > pagesBytes {
		return
	}
	if s.held == nil {
		s.held = map[string]rendered{}
	}
	s.held[key] = e
	s.used += e.page.Size()
}

// forget is called when a visitor has changed something: the next page shows it.
func (s *pages) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.age++
	s.dropLocked(func(string, rendered) bool { return true })
}

func (s *pages) dropLocked(which func(string, rendered) bool) {
	for key, e := range s.held {
		if which(key, e) {
			s.used -= e.page.Size()
			delete(s.held, key)
		}
	}
}
