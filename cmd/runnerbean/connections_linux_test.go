package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestConnectionsLeaveFilesForTheWork opens many connections of five kinds. The node must
// still open the files of its jobs, and serve other clients.
func TestConnectionsLeaveFilesForTheWork(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	const limit, crowd = 256, 300
	p.openFiles = limit
	p.start("worker")
	held := p.submit("hangs", "1")
	addr := strings.TrimPrefix(p.url, "http://")
	var conns []net.Conn
	for i := range crowd {
		for _, text := range []string{
			"", "GET / HTTP/1.1\r\nHost: x\r\nX-A: ",
			"GET " + strings.TrimPrefix(held, p.url) + "/events HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET " + strings.TrimPrefix(held, p.url) + " HTTP/1.1\r\nHost: x\r\nPrefer: wait=60\r\n\r\n",
			"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
		}[:1+i%5] {
			c, err := net.DialTimeout("tcp", addr, patience)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			conns = append(conns, c)
			_, _ = io.WriteString(c, text) // it may have been refused
		}
	}
	elsewhere := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext(ctx, network, addr)
	}}}
	most := 0
	for n := range 10 {
		body := fmt.Sprintf(`{"program":"echo","input":{"data":%d}}`, n)
		r, err := elsewhere.Post(p.url+"/api/v1/jobs", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		url := r.Header.Get("Location")
		if r.StatusCode != http.StatusCreated || url == "" {
			t.Fatalf("%s\n%s", r.Status, p.log)
		}
		p.until("the end of "+url, func() bool {
			files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
			most = max(most, len(files))
			r, err := elsewhere.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			text, _ := bufio.NewReader(r.Body).ReadString(0)
			if strings.Contains(text, `"state":"failed"`) {
				t.Fatal(text)
			}
			return strings.Contains(text, `"state":"`+string(jobs.Succeeded)+`"`)
		})
	}
	t.Logf("%d files were open at most", most)
	if log := p.log.String(); strings.Contains(log, "too many open files") {
		t.Errorf("there were not enough files:\n%s", log)
	}
	if most >= limit {
		t.Errorf("%d files were open of %d", most, limit)
	}
	for _, c := range conns {
		c.Close()
	}
	if _, log, code := p.client("", "cancel", held[strings.LastIndex(held, "/")+1:]); code != 0 {
		t.Error(log)
	}
	p.end(syscall.SIGTERM)
}
