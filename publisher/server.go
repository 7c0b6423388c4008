package publisher

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/runnerbean/runnerbean/publisher/internal/fastpath"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	// headerTimeout bounds the time in which a client sends the head of a request.
	headerTimeout = 10 * time.Second
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
		ConnState:         onConnState,
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

// serveOn serves with TLS where there is a certificate. The fast path is used without
// TLS, where results are open, and where no line is logged for each request.
func (p *Publisher) serveOn(server *http.Server, ln net.Listener) error {
	admitter := newAdmitter(p.conns, p.log, p.auth.TLS() != nil)
	defer admitter.refusing.Wait()
	if p.auth.TLS() != nil {
		server.TLSConfig = p.auth.TLS().Clone()
		return server.ServeTLS(oneWriteListener{Listener: ln, admitter: admitter}, "", "")
	}
	if p.cfg.NoFastResults || !p.auth.OpenResults() || p.log.Enabled(context.Background(), slog.LevelDebug) {
		return server.Serve(oneWriteListener{Listener: ln, admitter: admitter})
	}
	fast := &fastpath.Server{
		Answer: p.results.FastAnswer, Served: &p.served,
		HeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, WriteTimeout: httpio.WriteTimeout,
	}
	server.RegisterOnShutdown(fast.Shutdown)
	defer fast.Wait()
	return server.Serve(oneWriteListener{Listener: ln, admitter: admitter, fast: fast})
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
