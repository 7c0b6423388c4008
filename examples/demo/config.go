package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// port returns the usual address, or a free one if that is taken or the demo runs once,
// as tests do.
func (c *config) port(name, usual string) (string, error) {
	if c.once {
		return port(name, "127.0.0.1:0")
	}
	return port(name, usual)
}

// port returns the usual address, or a free one if that is taken.
func port(name, usual string) (string, error) {
	listener, err := net.Listen("tcp", usual)
	if err != nil {
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return "", err
		}
		fmt.Printf("%s is taken: %s is at %s\n", usual, name, listener.Addr())
	}
	return listener.Addr().String(), listener.Close()
}

type config struct {
	bin, programs, website, data string
	once                         bool
	baseURL                      string // where browsers find the node; empty for its own address
}

// resolve makes the paths absolute, because the children may run in other folders. It
// also chooses the data folder; remove deletes that folder if it belongs to this run
// only.
func (c *config) resolve() (remove func() error, err error) {
	remove = func() error { return nil }
	switch {
	case c.data == "" && c.once:
		// Another demo may be running.
		if c.data, err = os.MkdirTemp("", "runnerbean-demo-"); err != nil {
			return nil, err
		}
		own := c.data
		remove = func() error { return os.RemoveAll(own) }
	case c.data == "":
		c.data = ".demo"
	}
	for _, path := range []*string{&c.bin, &c.programs, &c.website, &c.data} {
		full, err := filepath.Abs(*path)
		if err != nil {
			return nil, err
		}
		*path = full
	}
	return remove, os.MkdirAll(c.data, 0o755)
}

// addresses are the addresses of the parts of the demo.
type addresses struct {
	beanstalkd, node, website string
}
