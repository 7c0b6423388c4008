package bucket

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

const (
	scheme = "s3"
	// amazon is the server of a URL without an endpoint.
	amazon = "https://s3.amazonaws.com"
	// maxPrefix leaves room for keys: a server takes names of 1,024 bytes.
	maxPrefix = 256
	// letters are what names of buckets and keys may consist of.
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
)

// Location says where a bucket is and which of its objects are ours.
type Location struct {
	Bucket string
	Prefix string // "", or it ends with a slash
	Region string // "": the server is asked
	// Endpoint is the address of the server, and Secure says that it speaks TLS.
	Endpoint string
	Secure   bool
}

// Is reports whether a URL names a bucket.
func Is(raw string) bool {
	name, _, found := strings.Cut(raw, ":")
	return found && strings.EqualFold(name, scheme)
}

// Parse reads "s3://BUCKET/PREFIX?endpoint=URL&region=NAME". Its errors do not repeat what
// may be a key.
func Parse(raw string) (l Location, err error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return l, errors.New("it is not a URL: write s3://BUCKET/PREFIX?endpoint=https://HOST")
	case u.User != nil:
		return l, errors.New("a URL holds no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	case !strings.EqualFold(u.Scheme, scheme), u.Host == "", u.Port() != "", u.Opaque != "", u.Fragment != "":
		return l, errors.New("write s3://BUCKET/PREFIX?endpoint=https://HOST")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return l, errors.New("its query is not of the form endpoint=https://HOST&region=NAME")
	}
	for name, values := range query {
		if name != "endpoint" && name != "region" || len(values) != 1 {
			return l, fmt.Errorf("the query may have endpoint and region, each once, and has %.40q", name)
		}
	}
	l.Bucket, l.Region = u.Hostname(), query.Get("region")
	if len(l.Bucket) < 3 || len(l.Bucket) > 63 || strings.Trim(l.Bucket, letters) != "" {
		return l, errors.New("the name of a bucket has 3 to 63 letters, digits and -_.: write s3://BUCKET/PREFIX?endpoint=https://HOST")
	}
	if l.Prefix, err = cleanPrefix(u.Path); err != nil {
		return l, err
	}
	endpoint := query.Get("endpoint")
	if endpoint == "" {
		endpoint = amazon
	}
	return l, l.setEndpoint(endpoint)
}

// cleanPrefix takes what a key may consist of, so that an object has one name only.
func cleanPrefix(path string) (string, error) {
	prefix := strings.Trim(path, "/")
	if prefix == "" {
		return "", nil
	}
	for part := range strings.SplitSeq(prefix, "/") {
		if part == "" || strings.Trim(part, ".") == "" || strings.Trim(part, letters) != "" {
			return "", errors.New("the prefix may have letters, digits and -_. between slashes")
		}
	}
	if len(prefix) > maxPrefix {
		return "", fmt.Errorf("the prefix is longer than %d bytes", maxPrefix)
	}
	return prefix + "/", nil
}

func (l *Location) setEndpoint(text string) error {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Hostname() == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("endpoint is the address of a server: write endpoint=https://HOST:PORT")
	}
	l.Endpoint, l.Secure = u.Host, u.Scheme == "https"
	if l.Region == "" && text != amazon {
		l.Region = "us-east-1" // what servers expect that have no regions
	}
	return nil
}

// String is the URL that Parse takes.
func (l Location) String() string {
	u := url.URL{Scheme: scheme, Host: l.Bucket, Path: "/" + strings.TrimSuffix(l.Prefix, "/")}
	server := "http://" + l.Endpoint
	if l.Secure {
		server = "https://" + l.Endpoint
	}
	query := url.Values{}
	if server != amazon {
		query.Set("endpoint", server)
	}
	if l.Region != "" {
		query.Set("region", l.Region)
	}
	u.RawQuery = query.Encode()
	return u.String()
}
