package publisher

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	// headerTimeout bounds the time in which a client sends the head of a request, and
	// headerBytes the length of the head.
	headerTimeout = 10 * time.Second
	headerBytes   = 32 << 10
	idleTimeout   = 2 * time.Minute
	// shutdownTimeout bounds the wait for answers when the node stops.
	shutdownTimeout = 10 * time.Second
)

// newServer returns a server whose limits protect it from slow and silent clients.
func (p *Publisher) newServer() *http.Server {
	return &http.Server{
		Handler:           p.Handler(),
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      httpio.WriteTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
		ConnContext:       withConn,
		ConnState:         tellState,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
}

// Serve is Run with an HTTP server on ln, which it closes. When ctx ends, it ends the
// streams and waits up to ten seconds for other answers.
func (p *Publisher) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hub := make(chan error, 1)
	go func() { hub <- p.Run(ctx) }()
	server := p.newServer()
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { stopped <- p.shutdown(server) })
	err := p.serveOn(server, ln)
	if !errors.Is(err, http.ErrServerClosed) {
		stop()
		cancel()
		return errors.Join(err, <-hub, server.Close())
	}
	return errors.Join(<-stopped, <-hub)
}

// serveOn serves on ln, with TLS where there is a certificate. Under TLS answers do not
// leave in one write.
func (p *Publisher) serveOn(server *http.Server, ln net.Listener) error {
	admitter := p.newAdmission(p.auth.TLS() != nil)
	defer admitter.refusing.Wait()
	if p.auth.TLS() == nil {
		return p.serveFast(server, ln, admitter)
	}
	server.TLSConfig = p.auth.TLS().Clone()
	return server.ServeTLS(oneWriteListener{Listener: ln, admitter: admitter}, "", "")
}

// shutdown waits for answers, and cuts them off after a while. Streams and held answers
// have ended with ctx of Run.
func (p *Publisher) shutdown(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		p.log.Warn("some answers were cut off at the shutdown")
		return server.Close()
	}
	return err
}
