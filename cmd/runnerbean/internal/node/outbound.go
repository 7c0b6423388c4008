package node

import "github.com/runnerbean/runnerbean/internal/outbound"

// outbound says whom this node asks for inputs, and tells of ends of jobs.
func (n *Node) outbound() (outbound.Config, error) {
	allow, err := n.Settings.FetchNetworks()
	if err != nil {
		return outbound.Config{}, err
	}
	proxy, err := n.Settings.FetchProxyURL()
	return outbound.Config{
		Allow: allow, Beanstalkd: n.Settings.Beanstalkd, Listener: n.listener.Addr().String(), Proxy: proxy,
	}, err
}
