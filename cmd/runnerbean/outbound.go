package main

import (
	"github.com/runnerbean/runnerbean/internal/outbound"
)

// outbound says whom this node asks for inputs, and tells of ends of jobs.
func (n *node) outbound() (outbound.Config, error) {
	allow, err := n.set.FetchNetworks()
	if err != nil {
		return outbound.Config{}, err
	}
	proxy, err := n.set.FetchProxyURL()
	return outbound.Config{
		Allow: allow, Beanstalkd: n.set.Beanstalkd, Listener: n.listener.Addr().String(), Proxy: proxy,
	}, err
}
