package doctor

import (
	"os"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
)

func checkAccess(set settings.Settings) Finding {
	const check = name("access")
	if set.Token == "" && set.TokensFile == "" {
		return check.warning("no tokens: changes over HTTP work on loopback only", "set RUNNERBEAN_TOKENS_FILE to accept changes from other machines; see \"runnerbean token\"")
	}
	return check.ok("pages and API ask for a token")
}

// checkProxy says whether inputs are fetched through a proxy.
func checkProxy(set settings.Settings) Finding {
	const check = name("proxy")
	proxy, err := set.FetchProxyURL()
	if err != nil {
		return check.failure(err.Error())
	}
	if proxy != nil {
		return check.ok("inputs, deliveries and webhooks go through " + proxy.Scheme + "://" + proxy.Host + ", but for the networks of RUNNERBEAN_FETCH_ALLOW")
	}
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} {
		if os.Getenv(name) != "" {
			return check.warning(name+" of the environment is not used for what jobs name: a proxy looks names up behind the node's back", "where the network has no other way out, set RUNNERBEAN_FETCH_PROXY to it; see docs/operations.md")
		}
	}
	return check.ok("none: addresses are asked directly")
}
