// Package pool has the scenario of nodes on several machines: each process has a network
// namespace and an address of its own, and is killed, stopped or cut off.
package pool

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// network is a namespace for each process, and one more with a bridge between them, where the
// firewall rules of this machine do not hold. It needs root and iproute2.
type network struct {
	bridge string // name of the namespace of the bridge, and of this machine's end of a link to it
	subnet string // the first three numbers of its addresses
	spaces []string
}

// newNetwork makes the namespaces for processes, and tells the testbed. Close removes them.
func newNetwork(bed *testbed.Testbed, names ...string) (*network, error) {
	pid := os.Getpid()
	n := &network{bridge: fmt.Sprintf("rb%d", pid), subnet: fmt.Sprintf("10.213.%d", pid%250+1)}
	bed.AtClose(n.close)
	bed.Places = map[string]testbed.Place{}
	err := n.addBridge()
	for i, name := range names {
		if err == nil {
			err = n.add(name, i+1)
		}
		bed.Places[name] = testbed.Place{Addr: n.addr(i + 1), Enter: []string{ipPath(), "netns", "exec", n.space(name)}}
	}
	if err != nil {
		return nil, fmt.Errorf("a network for each process (requires root and iproute2): %w", err)
	}
	return n, nil
}

func (n *network) addr(i int) string        { return fmt.Sprintf("%s.%d", n.subnet, i) }
func (n *network) space(name string) string { return n.bridge + "-" + name }

func ipPath() string {
	if path, err := exec.LookPath("ip"); err == nil {
		return path
	}
	return "/usr/sbin/ip"
}

func (n *network) addBridge() error {
	if err := n.addSpace(n.bridge); err != nil {
		return err
	}
	return errors.Join(
		n.ip("-n %s link add bridge type bridge", n.bridge),
		n.ip("-n %s link set bridge up", n.bridge),
		n.ip("link add %s type veth peer name client netns %[1]s", n.bridge),
		n.ip("-n %s link set client master bridge up", n.bridge),
		n.ip("addr add %s.254/24 dev %s", n.subnet, n.bridge),
		n.ip("link set %s up", n.bridge),
	)
}

func (n *network) addSpace(name string) error {
	if err := n.ip("netns add %s", name); err != nil {
		return err
	}
	n.spaces = append(n.spaces, name)
	return nil
}

func (n *network) add(name string, i int) error {
	space := n.space(name)
	if err := n.addSpace(space); err != nil {
		return err
	}
	return errors.Join(
		n.ip("-n %s link add eth0 type veth peer name port%d netns %s", space, i, n.bridge),
		n.ip("-n %s link set port%d master bridge up", n.bridge, i),
		n.ip("-n %s addr add %s/24 dev eth0", space, n.addr(i)),
		n.ip("-n %s link set eth0 up", space),
		n.ip("-n %s link set lo up", space),
	)
}

// cut takes the network of a process away. With oneWay, it still gets what others send, and
// nothing of its own leaves it.
func (n *network) cut(name string, oneWay bool) error {
	if !oneWay {
		return n.ip("-n %s link set eth0 down", n.space(name))
	}
	return errors.Join(n.ip("-n %s route add blackhole %s.0/25", n.space(name), n.subnet), n.ip("-n %s route add blackhole %s.128/25", n.space(name), n.subnet))
}

// mend ends a cut.
func (n *network) mend(name string, oneWay bool) error {
	if !oneWay {
		return n.ip("-n %s link set eth0 up", n.space(name))
	}
	return errors.Join(n.ip("-n %s route del blackhole %s.0/25", n.space(name), n.subnet), n.ip("-n %s route del blackhole %s.128/25", n.space(name), n.subnet))
}

func (n *network) close() error {
	var errs []error
	for _, space := range n.spaces { // their links end with them
		errs = append(errs, n.ip("netns del %s", space))
	}
	return errors.Join(errs...)
}

func (n *network) ip(format string, args ...any) error {
	words := strings.Fields(fmt.Sprintf(format, args...))
	if out, err := exec.Command(ipPath(), words...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(words, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
