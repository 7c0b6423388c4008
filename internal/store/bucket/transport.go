package bucket

import (
	"context"
	"net"
	"net/http"
	"time"
)

const (
	// silence bounds the time in which a connection takes or brings no byte.
	silence = 30 * time.Second
	// maxConns bounds the connections to the server.
	maxConns = 64
)

// newTransport returns a transport that waits for nothing without end.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &timedConn{conn}, nil
		},
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: silence,
		MaxConnsPerHost: maxConns, MaxIdleConnsPerHost: maxConns, IdleConnTimeout: silence / 2,
		DisableCompression: true, // objects are to come as they are
		ForceAttemptHTTP2:  true,
	}
}

// timedConn ends a read or a write that takes longer than silence.
type timedConn struct{ net.Conn }

func (c *timedConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *timedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
