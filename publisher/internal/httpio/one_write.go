package httpio

import "net/http"

// ConnKey is the key of a request's connection in the context of the request.
type ConnKey struct{}

// expectOneWrite tells the connection of a request that the handler writes a body of size
// bytes in one call, and nothing before that.
func expectOneWrite(r *http.Request, size int) {
	if c, ok := r.Context().Value(ConnKey{}).(interface{ Expect(size int) }); ok && r.TLS == nil {
		c.Expect(size)
	}
}
