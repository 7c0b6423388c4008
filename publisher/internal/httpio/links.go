package httpio

import (
	"net/url"
	"strings"
)

// AddQuery adds a query to a link of a result.
func AddQuery(link, query string) string {
	switch {
	case query == "" || link == "":
		return link
	case strings.Contains(link, "?"):
		return link + "&" + query
	}
	return link + "?" + query
}

// BasePath is the path under which the node answers, for links that work under
// any name of the node.
func BasePath(base string) string {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "" {
		return ""
	}
	return "/" + strings.Trim(u.EscapedPath(), "/")
}

// PageBase returns the address under which the pages of a node are. Results may be
// in a folder of it.
func PageBase(baseURL string) string { return strings.TrimSuffix(baseURL, "/results") }
