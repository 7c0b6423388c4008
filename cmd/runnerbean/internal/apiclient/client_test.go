package apiclient

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestTokenGoesToItsNodeOnly follows a redirect to another server.
func TestTokenGoesToItsNodeOnly(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got["elsewhere"] = r.Header.Get("Authorization")
	}))
	defer elsewhere.Close()
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got["node"] = r.Header.Get("Authorization")
		http.Redirect(w, r, elsewhere.URL+"/"+r.Host, http.StatusFound)
	}))
	defer node.Close()
	c := New(node.URL, "s3cret").HTTP
	answer, err := c.Get(node.URL + "/x")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if got["node"] != "Bearer s3cret" || got["elsewhere"] != "" {
		t.Errorf("got %q", got)
	}
}
