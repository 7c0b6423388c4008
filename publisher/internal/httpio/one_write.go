package httpio

import "net/http"

// ConnKey is the key, in a request's context, of the connection that the request
// came on.
type ConnKey struct{}

// expectOneWrite tells the connection of a request that the handler writes a body
// of size bytes in one call, and nothing before that.
func expectOneWrite(r *http.Request, size int) {
	if c, ok := r.Context().Value(ConnKey{}).(interface{ Expect(size int) }); ok && r.TLS == nil {
		c.Expect(size)
	}
}
