package live

import (
	"errors"
	"net"
	"syscall"
)

// bare returns the connection under what a server has put around it, which may hold
// more memory than the stream needs.
func bare(c net.Conn) net.Conn {
	for {
		w, ok := c.(interface{ Bare() net.Conn })
		if !ok {
			return c
		}
		c = w.Bare()
	}
}

// writeNow writes what the socket takes without waiting. raw may be nil.
func writeNow(raw syscall.RawConn, b []byte) (n int, err error) {
	if raw == nil {
		return 0, nil
	}
	failed := raw.Write(func(fd uintptr) bool {
		n, err = syscall.Write(int(fd), b)
		return true
	})
	if failed != nil {
		return 0, failed
	}
	if wouldWait(err) {
		return 0, nil
	}
	return max(n, 0), err
}

// hasGone reports whether the client has closed its end. It discards what the client
// has sent. raw may be nil.
func hasGone(raw syscall.RawConn, scratch []byte) bool {
	if raw == nil {
		return false
	}
	var n int
	var err error
	failed := raw.Read(func(fd uintptr) bool {
		n, err = syscall.Read(int(fd), scratch)
		return true
	})
	return failed != nil || n <= 0 && !wouldWait(err)
}

func wouldWait(err error) bool {
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR)
}
