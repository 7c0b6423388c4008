package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// connectAll connects slow and idle clients. They reconnect when the node
// closes the connection, until ctx ends.
func (a *slowClientsTest) connectAll(ctx context.Context) *sync.WaitGroup {
	kinds := []func(context.Context, net.Conn){a.slowHead, a.slowReader, a.idle, a.silent}
	wait := &sync.WaitGroup{}
	rng := a.bed.Random("siege")
	for i := range slowCount {
		late := time.Duration(rng.Int64N(int64(time.Second))) // not all at the same time
		wait.Go(func() {
			testbed.Sleep(ctx, late)
			for ctx.Err() == nil {
				a.visit(ctx, kinds[i%len(kinds)])
				testbed.Sleep(ctx, 100*time.Millisecond)
			}
		})
	}
	return wait
}

func (a *slowClientsTest) visit(ctx context.Context, behave func(context.Context, net.Conn)) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", a.node.Addr)
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	behave(ctx, conn)
}

// slowHead sends one byte of a request each second.
func (a *slowClientsTest) slowHead(ctx context.Context, conn net.Conn) {
	head := "GET /" + a.small.ID + " HTTP/1.1\r\nHost: slow\r\nX-Long: " + strings.Repeat("z", 200)
	for i := range head {
		if _, err := conn.Write([]byte(head[i : i+1])); err != nil || !testbed.Sleep(ctx, time.Second) {
			return
		}
	}
}

// slowReader requests a large result and reads some bytes of it each second.
func (a *slowClientsTest) slowReader(ctx context.Context, conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4096)
	}
	fmt.Fprintf(conn, "GET /%s HTTP/1.1\r\nHost: slow\r\nAccept-Encoding: identity\r\n\r\n", a.big.ID)
	for some := make([]byte, 50); testbed.Sleep(ctx, time.Second); {
		if _, err := conn.Read(some); err != nil {
			return
		}
	}
}

// idle sends one request and stays connected.
func (a *slowClientsTest) idle(_ context.Context, conn net.Conn) {
	fmt.Fprintf(conn, "GET /%s HTTP/1.1\r\nHost: idle\r\n\r\n", a.small.ID)
	for some := make([]byte, 4096); ; {
		if _, err := conn.Read(some); err != nil {
			return
		}
	}
}

// silent connects and sends nothing.
func (a *slowClientsTest) silent(_ context.Context, conn net.Conn) {
	_, _ = conn.Read(make([]byte, 1))
}

// followJob opens event streams of a job that runs for the time work. The
// channel gets the number of streams that have seen its end.
func (a *slowClientsTest) followJob(ctx context.Context, work time.Duration) (*testbed.Job, <-chan int) {
	told := make(chan int, 1)
	j := a.bed.WorkJob(a.bed.Random("streams"), "work", work, 100)
	if status := a.bed.Submit(ctx, a.node, j); status != http.StatusCreated {
		a.bed.History.Logf("the job to listen to was answered with status %d", status)
		told <- 0
		return j, told
	}
	ends := make(chan bool, streamCount)
	for range streamCount {
		go func() { ends <- a.stream(ctx, j) }()
	}
	go func() {
		seen := 0
		for range streamCount {
			if <-ends {
				seen++
			}
		}
		told <- seen
	}()
	return j, told
}

// stream reports whether it saw the success of a job.
func (a *slowClientsTest) stream(ctx context.Context, j *testbed.Job) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.node.Addr+"/"+j.ID+"/events", nil)
	if err != nil {
		return false
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if strings.Contains(lines.Text(), `"state":"succeeded"`) {
			return true
		}
	}
	return false
}

const (
	slowCount   = 2000
	streamCount = 200
	// bigResult is larger than the buffers between a node and a slow reader.
	bigResult = 4 << 20
)

// slowClientsTest is a node and its clients.
type slowClientsTest struct {
	bed    *testbed.Testbed
	node   *testbed.Node
	small  *testbed.Job // has ended, as has big
	big    *testbed.Job
	client *http.Client
}
