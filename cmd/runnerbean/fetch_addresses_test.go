package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestJobsReachNeitherNodeNorBeanstalkd tries many names of their addresses while the
// operator allows all networks.
func TestJobsReachNeitherNodeNorBeanstalkd(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.env = append(p.env, "RUNNERBEAN_FETCH_ALLOW=0.0.0.0/0,::/0")
	p.start("worker")
	first := p.submit("echo", "[1]")
	p.final(first)
	own, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	before := httptest.NewServer(httputil.NewSingleHostReverseProxy(own))
	t.Cleanup(before.Close)
	from := httptest.NewServer(http.RedirectHandler(p.url+"/api/v1/jobs", http.StatusFound))
	t.Cleanup(from.Close)
	isNode, isBeanstalkd := "is this node", "is a beanstalkd server"
	cases := map[string]string{
		p.url + "/api/v1/jobs": isNode, first: isNode, from.URL: isNode,
		"http://localhost:" + own.Port() + "/metrics": isNode, "http://0.0.0.0:" + own.Port(): isNode,
		"http://[::ffff:127.0.0.1]:" + own.Port(): "not allowed",
		"http://" + server.Addr:                   isBeanstalkd, "http://127.0.0.1:11300/": "port 11300",
		before.URL + "/api/v1/jobs": "403", before.URL + "/metrics": "403", before.URL + "/": "403",
	}
	urls := map[string]string{}
	for input := range cases {
		urls[input] = p.postJob(fmt.Sprintf(`{"program":"echo","attempts":1,"input":{"url":%q}}`, input))
	}
	for input, says := range cases {
		r := p.final(urls[input])
		if r.State != jobs.Failed || r.Error == nil || !strings.Contains(r.Error.Message, says) {
			t.Errorf("%s: %s, %+v, want %q", input, r.State, r.Error, says)
		}
	}
	if m := p.final(urls[first]).Error.Message; !strings.Contains(m, "input.data") {
		t.Errorf("it does not say what to do: %s", m)
	}
	// Webhooks and deliveries do not reach them either.
	told := map[string]string{}
	for url, says := range map[string]string{p.url + "/api/v1/jobs?x=/": isNode, "http://" + server.Addr + "/": isBeanstalkd, "http://localhost:11300/": "port 11300"} {
		id := jobs.NewID()
		p.postJob(fmt.Sprintf(`{"id":%q,"program":"echo","input":{"data":1},"result":{"url":"%s/%s"}}`, id, strings.TrimSuffix(strings.Replace(url, "127.0.0.1", "localhost", 1), "/api/v1/jobs?x=/"), id))
		told[id] = says
	}
	for id, says := range told {
		p.until("it is given up: "+says, func() bool {
			out, _, _ := p.client("", "show", id)
			return strings.Contains(out, "delivery-given-up") && strings.Contains(out, says)
		})
	}
	// A result may come through a proxy, because everybody with its URL may read it.
	chained := p.final(p.postJob(fmt.Sprintf(`{"program":"echo","input":{"url":%q}}`, before.URL+own.Path+strings.TrimPrefix(first, p.url))))
	var read jobs.Result
	if err := json.Unmarshal(chained.Result, &read); err != nil || string(read.Result) != "[1]" {
		t.Errorf("%+v, %v", chained, err)
	}
}
