package publisher

import (
	"net"

	"github.com/runnerbean/runnerbean/publisher/internal/fastpath"
)

// oneWriteListener accepts connections of the type oneWriteConn, as many as have places.
type oneWriteListener struct {
	net.Listener
	admitter *admitter
	fast     *fastpath.Server // nil: net/http answers every request
}

func (l oneWriteListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		tcp, ok := c.(*net.TCPConn)
		if !ok {
			return c, err
		}
		one := &oneWriteConn{TCPConn: tcp}
		if l.fast != nil {
			one.fast = l.fast.Wrap(tcp)
		}
		if l.admitter.admit(one) {
			return one, err
		}
		if one.fast != nil {
			one.fast.Forget()
		}
	}
}
