package httpio

import (
	"net/url"
	"strings"
)

// AddQuery adds a query to a link. Either may be empty.
func AddQuery(link, query string) string {
	switch {
	case query == "" || link == "":
		return link
	case strings.Contains(link, "?"):
		return link + "&" + query
	}
	return link + "?" + query
}

// BasePath returns the path of a base URL, without a slash at the end. Links that begin
// with it work under every host name of the node.
func BasePath(base string) string {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "" {
		return ""
	}
	return "/" + strings.Trim(u.EscapedPath(), "/")
}

// PageBase returns the URL under which the pages of a node are. The base URL of results may
// be a folder of it.
func PageBase(baseURL string) string { return strings.TrimSuffix(baseURL, "/results") }
