package queue

import (
	"context"
	"errors"
)

var errTodo = errors.New("queue: not built yet")

// Producer puts messages. It is safe for concurrent use.
type Producer struct{ cfg Config }

// NewProducer makes a Producer; it connects when it is first used. Close it.
func NewProducer(cfg Config) (*Producer, error) {
	cfg, err := cfg.withDefaults()
	return &Producer{cfg: cfg}, err
}

// Put puts a message on the first server that takes it.
func (p *Producer) Put(ctx context.Context, m Message) (Receipt, error) { return Receipt{}, errTodo }

// PutAll puts many messages, pipelined.
func (p *Producer) PutAll(ctx context.Context, ms []Message) ([]Receipt, error) {
	return make([]Receipt, len(ms)), errTodo
}

// Server is what one server says of itself.
type Server struct {
	Addr string
	// ID changes whenever the server starts.
	ID      string
	Version string
	// Err says why the rest is missing.
	Err   error
	Stats map[string]string
}

// Servers asks every server for its statistics, in the order of Config.Addrs.
func (p *Producer) Servers(ctx context.Context) ([]Server, error) { return nil, errTodo }

// TubeStats returns the statistics of a tube on one server.
func (p *Producer) TubeStats(ctx context.Context, addr, tube string) (map[string]string, error) {
	return nil, errTodo
}

// Ping returns nil if at least one server answers.
func (p *Producer) Ping(ctx context.Context) error { return errTodo }

// Close ends what is under way and closes all connections.
func (p *Producer) Close() error { return nil }
