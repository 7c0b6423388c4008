package queue

import (
	"context"
	"time"
)

// Consumer takes messages from one server.
type Consumer struct{ cfg Config }

// NewConsumer makes a Consumer of cfg.Addrs[0]. Close it.
func NewConsumer(cfg Config) (*Consumer, error) {
	cfg, err := cfg.withDefaults()
	return &Consumer{cfg: cfg}, err
}

// Reserve waits for a message on any of the tubes.
func (c *Consumer) Reserve(ctx context.Context, tubes []string) (*Delivery, error) {
	return nil, errTodo
}

// ReserveBatch waits for a message and takes up to limit that are there.
func (c *Consumer) ReserveBatch(ctx context.Context, tubes []string, limit int) ([]*Delivery, error) {
	return nil, errTodo
}

// Close ends what is under way.
func (c *Consumer) Close() error { return nil }

// Delivery is a message that this connection holds.
type Delivery struct {
	ID   uint64
	Body []byte
	// Addr and Server say where it came from, as in Receipt.
	Addr, Server string
}

// Delete removes the job from the server.
func (d *Delivery) Delete(ctx context.Context) error { return errTodo }

// Release gives the job back to its tube after delay.
func (d *Delivery) Release(ctx context.Context, priority uint32, delay time.Duration) error {
	return errTodo
}

// Bury sets the job aside until a person kicks it.
func (d *Delivery) Bury(ctx context.Context, priority uint32) error { return errTodo }

// Touch starts the job's time to run anew.
func (d *Delivery) Touch(ctx context.Context) error { return errTodo }

// Stats returns what the server knows of the job.
func (d *Delivery) Stats(ctx context.Context) (map[string]string, error) { return nil, errTodo }
