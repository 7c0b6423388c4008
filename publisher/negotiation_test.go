package publisher

import (
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// clients are the header fields of common clients, and whether they can show a page.
var clients = []struct {
	name, accept, agent string
	page                bool
}{
	{"Chrome", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36", true},
	{"Firefox", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0", true},
	{"Internet Explorer 11", "text/html, application/xhtml+xml, */*", "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko", true},
	{"a browser that names itself in no way", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "", true},
	{"Konqueror", "text/html, text/*;q=0.9, image/jpeg;q=0.9, image/png;q=0.9, image/*;q=0.9, */*;q=0.8", "Mozilla/5.0 (compatible; Konqueror/4.14; Linux) KHTML/4.14 (like Gecko)", true},
	{"Lynx", "text/html, text/plain, text/sgml, text/css, application/xhtml+xml, */*;q=0.01", "Lynx/2.9.0dev.12 libwww-FM/2.14", true},
	{"older Lynx", "text/html, text/plain, text/css, text/sgml, */*;q=0.01", "Lynx/2.8.5rel.1", true},
	{"w3m", "text/html, text/*;q=0.5, image/*, application/*", "w3m/0.5.3+git20230121", true},
	{"older w3m", "text/html, text/*;q=0.5, image/*", "w3m/0.5.3", true},
	{"Links", "*/*", "Links (2.29; Linux 6.1 x86_64; GNU C 12.2; text)", true},
	{"ELinks", "*/*", "ELinks/0.16.1.1 (textmode; Linux 6.1 x86_64; 80x24-2)", true},
	{"Opera 12", "text/html, application/xml;q=0.9, application/xhtml+xml, image/png, */*;q=0.1", "Opera/9.80 (X11; Linux x86_64) Presto/2.12.388 Version/12.16", true},
	{"a browser's image", "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "Mozilla/5.0 (X11; Linux x86_64)", false},
	{"a browser's fetch", "*/*", "Mozilla/5.0 (X11; Linux x86_64)", false},
	{"axios", "application/json, text/plain, */*", "Mozilla/5.0 (X11; Linux x86_64)", false},
	{"jQuery for JSON", "application/json, text/javascript, */*; q=0.01", "Mozilla/5.0 (X11; Linux x86_64)", false},
	{"jQuery for HTML", "text/html, */*; q=0.01", "Mozilla/5.0 (X11; Linux x86_64)", true},
	{"who asks for nothing but a page", "text/html", "curl/8.5.0", true},
	{"curl", "*/*", "curl/8.5.0", false},
	{"wget", "*/*", "Wget/1.21.4", false},
	{"wget 2", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Wget/2.1.0", false},
	{"HTTPie", "application/json, */*;q=0.5", "HTTPie/3.2.2", false},
	{"Java 8 to 17", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "Java/17.0.9", false},
	{"Java from 18 on", "text/html, image/gif, image/jpeg, */*; q=0.2", "Java/21.0.1", false},
	{"Java with an http.agent", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "Mozilla/4.0 (compatible) Java/1.8.0_392", false},
	{"MATLAB", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "MATLAB 9.14.0.2206163 (R2023a)", false},
	{"Delphi", "text/html, */*", "Mozilla/3.0 (compatible; Indy Library)", false},
	{"Java's HttpClient", "", "Java-http-client/21.0.1", false},
	{"Python requests", "*/*", "python-requests/2.31.0", false},
	{"Python urllib", "", "Python-urllib/3.12", false},
	{"aiohttp", "*/*", "Python/3.12 aiohttp/3.9.1", false},
	{"Go", "", "Go-http-client/1.1", false},
	{".NET HttpClient", "", "", false},
	{"PowerShell", "", "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.3803", false},
	{"PowerShell 7", "*/*", "Mozilla/5.0 (Windows NT 10.0; Microsoft Windows 10.0.19045; en-US) PowerShell/7.4.0", false},
	{"Node fetch", "*/*", "node", false},
	{"Node got", "", "got (https://github.com/sindresorhus/got)", false},
	{"Ruby", "*/*", "Ruby", false},
	{"PHP", "", "", false},
	{"Guzzle", "", "GuzzleHttp/7", false},
	{"Perl", "", "libwww-perl/6.72", false},
	{"R", "application/json, text/xml, application/xml, */*", "libcurl/8.5.0 r-curl/5.2.0 httr/1.4.7", false},
	{"Slack's preview", "*/*", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", false},
	{"Facebook's preview", "*/*", "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", false},
	{"Prometheus", "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "Prometheus/2.48.0", false},
}

func TestClientsGetWhatTheyCanUse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ended, _ := b.succeeded("[1]")
	queued := b.queued("")
	for _, c := range clients {
		fields := []string{}
		if c.accept != "" {
			fields = append(fields, "Accept: "+c.accept)
		}
		if c.agent != "" {
			fields = append(fields, "User-Agent: "+c.agent)
		}
		for _, id := range []string{ended, queued} {
			r := b.get("/"+id, fields...)
			if got := r.Header.Get("Content-Type") == typeHTML; got != c.page {
				t.Errorf("%s: the result comes as %s", c.name, r.Header.Get("Content-Type"))
			}
			if vary := r.Header.Get("Vary"); !strings.Contains(vary, "Accept") || strings.Contains(vary, "User-Agent") != (httpio.Preferred(c.accept) != httpio.PreferJSON) {
				t.Errorf("%s: Vary is %q", c.name, vary)
			}
		}
		if r := b.get("/api/v1/jobs", fields...); r.StatusCode != 200 || r.Header.Get("Content-Type") != httpio.TypeJSON {
			t.Errorf("%s: the API answers %d with %s", c.name, r.StatusCode, r.Header.Get("Content-Type"))
		}
	}
}

func TestAcceptFieldsOnSeveralLines(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, _ := b.succeeded("[1]")
	if r := b.get("/"+id, "Accept: text/html", "Accept: application/xhtml+xml", "Accept: */*;q=0.8"); r.Header.Get("Content-Type") != typeHTML {
		t.Errorf("got %s", r.Header.Get("Content-Type"))
	}
	if r := b.get("/"+id, "Accept: text/html;q=0.1", "Accept: application/json"); r.Header.Get("Content-Type") != httpio.TypeJSON {
		t.Errorf("got %s", r.Header.Get("Content-Type"))
	}
}
