package web

import (
	"errors"
	"fmt"
	"net/http"
)

const (
	maxRedirects = 10
	// ownIdlePerHost is for a web server that follows many jobs at one node.
	ownIdlePerHost = 64
)

// NewClient returns the client that reads results. If caller is nil, it is one with a
// copy of http.DefaultTransport, which is returned too so that its connections can be
// closed. An application that has wrapped http.DefaultTransport wants to see every
// request, so the wrapper is used as it is.
func NewClient(caller *http.Client) (*http.Client, *http.Transport) {
	client := &http.Client{Transport: http.DefaultTransport}
	var own *http.Transport
	if caller != nil {
		*client = *caller
	} else if plain, ok := http.DefaultTransport.(*http.Transport); ok && plain != nil {
		own = plain.Clone()
		own.MaxIdleConnsPerHost = ownIdlePerHost
		client.Transport = own
	}
	client.CheckRedirect = checkRedirect(client.CheckRedirect)
	return client, own
}

// checkRedirect bounds redirects, or lets the caller's inner do so. A redirected
// request does not name the URL that it comes from, which may be signed.
func checkRedirect(inner func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(r *http.Request, via []*http.Request) error {
		r.Header.Del("Referer")
		if _, err := ParseURL(r.URL.String()); err != nil {
			return &Lasting{Err: fmt.Errorf("redirected: %w", err), Advice: AdviceRedirect}
		}
		switch {
		case inner != nil:
			err := inner(r, via)
			if err == nil || errors.Is(err, http.ErrUseLastResponse) {
				return err
			}
			return &Lasting{Err: fmt.Errorf("redirect refused: %w", err), Advice: AdviceRedirect}
		case len(via) >= maxRedirects:
			return &Lasting{Err: fmt.Errorf("stopped after %d redirects", maxRedirects), Advice: AdviceRedirect}
		}
		return nil
	}
}
