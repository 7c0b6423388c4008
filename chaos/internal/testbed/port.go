package testbed

import (
	"fmt"
	"syscall"
)

// port is a port of the loopback that the kernel chose. The testbed keeps it
// bound, without listening. So no other connection can get it while the process
// that listens on it is dead.
type port struct {
	socket int
	addr   string
}

// placePort is the port of every server that has an address of its own.
const placePort = "8420"

// Addr returns the address for the server of a name.
func (bed *Testbed) Addr(name string) (string, error) {
	if place, ok := bed.Places[name]; ok {
		return place.Addr + ":" + placePort, nil
	}
	return bed.port()
}

func (bed *Testbed) port() (string, error) {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return "", fmt.Errorf("port: %w", err)
	}
	syscall.CloseOnExec(socket)
	p := &port{socket: socket}
	bed.atClose(p.close)
	if err := p.bind(); err != nil {
		return "", fmt.Errorf("port: %w", err)
	}
	return p.addr, nil
}

func (p *port) bind() error {
	// beanstalkd and Go set this, too, and can so listen on the port.
	if err := syscall.SetsockoptInt(p.socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := syscall.Bind(p.socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	name, err := syscall.Getsockname(p.socket)
	if err != nil {
		return err
	}
	inet, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		return fmt.Errorf("unexpected address %T", name)
	}
	p.addr = fmt.Sprintf("127.0.0.1:%d", inet.Port)
	return nil
}

func (p *port) close() error { return syscall.Close(p.socket) }
