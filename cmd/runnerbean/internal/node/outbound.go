package node

import (
	"net"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/outbound"
)

// outboundConfig says which addresses inputs, deliveries and webhooks may reach. The
// node's own address, beanstalkd and the database are never among them.
func outboundConfig(set settings.Settings, listening net.Addr) (outbound.Config, error) {
	allow, err := set.FetchNetworks()
	if err != nil {
		return outbound.Config{}, err
	}
	proxy, err := set.FetchProxyURL()
	return outbound.Config{
		Allow: allow, Beanstalkd: set.Beanstalkd, Database: ledger.Servers(set.Ledger), Listener: listening.String(), Proxy: proxy,
	}, err
}
