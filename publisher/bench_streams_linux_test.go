package publisher

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// envInt is the number in an environment variable, so that a benchmark is
// quick by default and can be run at full size.
func envInt(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// rss is the memory of this process in bytes.
func rss(b *testing.B) int {
	b.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		b.Fatal(err)
	}
	return pages * os.Getpagesize()
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// allowFiles raises the limit on open files as far as it goes.
func allowFiles(t testing.TB) {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
}

// otherSide is a process of clients, whose cost is not the node's.
type otherSide struct {
	b   *testing.B
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

const otherSideEnv = "RUNNERBEAN_BENCH_CLIENT"

func startOtherSide(b *testing.B, args ...string) *otherSide {
	b.Helper()
	o := &otherSide{b: b, cmd: exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestOtherSide$")}
	o.cmd.Env = append(os.Environ(), otherSideEnv+"="+strings.Join(args, " "))
	o.cmd.Stderr = os.Stderr
	var err error
	if o.in, err = o.cmd.StdinPipe(); err != nil {
		b.Fatal(err)
	}
	out, err := o.cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	o.out = bufio.NewReader(out)
	if err := o.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return o
}

func (o *otherSide) stop() {
	o.in.Close()
	if err := o.cmd.Wait(); err != nil {
		o.b.Error(err)
	}
}

func (o *otherSide) line() string {
	o.b.Helper()
	line, err := o.out.ReadString('\n')
	if err != nil {
		o.b.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// TestOtherSide is the clients' process of a benchmark.
func TestOtherSide(t *testing.T) {
	args := strings.Fields(os.Getenv(otherSideEnv))
	if len(args) != 4 {
		t.Skip("this is a part of the benchmarks of streams")
	}
	n, err := strconv.Atoi(args[3])
	if err != nil {
		t.Fatal(err)
	}
	allowFiles(t)
	switch args[0] {
	case "listeners":
		listeners(t, args[1], args[2], n)
	case "dashboards":
		dashboards(t, args[1], n)
	}
	if t.Failed() {
		os.Exit(1)
	}
	os.Exit(0) // without what go test would print
}

// listeners opens n streams and says so. For each line that it reads it waits
// until all have had an event, and says when that was.
func listeners(t *testing.T, addr, path string, n int) {
	poll, err := syscall.EpollCreate1(0)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		fd := dialRaw(t, addr, path)
		if err := syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Println("ready")
	for lines := bufio.NewReader(os.Stdin); ; {
		if _, err := lines.ReadString('\n'); err != nil {
			return
		}
		heardOn(t, poll, n)
		fmt.Println(time.Now().UnixNano())
	}
}

// dialRaw opens a stream and reads its head.
func dialRaw(t *testing.T, addr, path string) int {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(addr, ":")
	number, _ := strconv.Atoi(port)
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: number, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.Write(fd, []byte("GET "+path+" HTTP/1.1\r\nHost: "+addr+"\r\nAccept: text/event-stream\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for part := make([]byte, 4096); !bytes.Contains(got, []byte("retry: ")); {
		m, err := syscall.Read(fd, part)
		if got = append(got, part[:max(m, 0)]...); err != nil || m == 0 || !bytes.HasPrefix(got, []byte("HTTP/1.1 200")) {
			t.Fatalf("%v after %q", err, got)
		}
	}
	return fd
}

// heardOn waits until n sockets have had an event.
func heardOn(t *testing.T, poll, n int) {
	events, part, had := make([]syscall.EpollEvent, 256), make([]byte, 4096), map[int32]bool{}
	for len(had) < n {
		m, err := syscall.EpollWait(poll, events, -1)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events[:m] {
			size, err := syscall.Read(int(e.Fd), part)
			if err != nil || size == 0 {
				t.Fatalf("a stream has ended: %v", err)
			}
			if bytes.Contains(part[:size], []byte("event: ")) {
				had[e.Fd] = true
			}
		}
	}
}

// BenchmarkStreams holds streams open and tells all of one change: each 200, or
// RUNNERBEAN_BENCH_STREAMS. The memory is the growth of the process, as it is
// and after a collection. What bounds the time is a write and a wake-up of the
// client for each.
func BenchmarkStreams(b *testing.B) {
	n := envInt("RUNNERBEAN_BENCH_STREAMS", 200)
	allowFiles(b)
	b.Run("job", func(b *testing.B) { benchmarkStreams(b, n, false) })
	b.Run("feed", func(b *testing.B) { benchmarkStreams(b, n, true) })
}

func benchmarkStreams(b *testing.B, n int, feed bool) {
	s := newBench(b)
	addr, stop := s.serve()
	id := s.queued("")
	s.running(id)
	path := "/" + id + "/events"
	if feed {
		path = "/api/v1/events?types=job"
	}
	debug.FreeOSMemory()
	before := rss(b)
	other := startOtherSide(b, "listeners", addr, path, strconv.Itoa(n))
	if got := other.line(); got != "ready" {
		b.Fatal(got)
	}
	s.watched(n)
	if feed {
		s.members(n)
	}
	open := rss(b)
	var took []float64
	rounds := 0
	for b.Loop() {
		for range 5 {
			rounds++
			took = append(took, tellAll(b, s, other, id, rounds))
		}
	}
	debug.FreeOSMemory()
	b.ReportMetric(float64(open-before)/float64(n), "B/stream")
	b.ReportMetric(float64(rss(b)-before)/float64(n), "B/stream-collected")
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2], "ms-to-all")
	b.ReportMetric(took[len(took)-1], "ms-to-all-worst")
	other.stop()
	if err := stop(); err != nil {
		b.Error(err)
	}
}

// tellAll changes the job and returns after how many milliseconds all know.
func tellAll(b *testing.B, s *bench, other *otherSide, id string, round int) float64 {
	b.Helper()
	if _, err := io.WriteString(other.in, "\n"); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	s.report(id, float64(round%1000)/1000)
	at, err := strconv.ParseInt(other.line(), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return float64(time.Unix(0, at).Sub(start).Microseconds()) / 1000
}

// dashboards behave as live.js does: each listens for changes and asks for the
// page again a little later, at most every two seconds.
func dashboards(t *testing.T, addr string, n int) {
	ctx, cancel := context.WithCancel(t.Context())
	var asked, same atomic.Int64
	var all sync.WaitGroup
	for range n {
		all.Go(func() { dashboard(ctx, t, addr, &asked, &same) })
	}
	lines := bufio.NewReader(os.Stdin)
	fmt.Println("ready")
	for {
		if _, err := lines.ReadString('\n'); err != nil {
			break
		}
		fmt.Println(asked.Load(), same.Load())
	}
	cancel()
	all.Wait()
}

func dashboard(ctx context.Context, t *testing.T, addr string, asked, same *atomic.Int64) {
	client := &http.Client{Transport: &http.Transport{}}
	news := make(chan struct{}, 1)
	go listenForChange(ctx, client, addr, news)
	var tag string
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", nil)
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
		r.Header.Set("If-None-Match", tag)
		resp, err := client.Do(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if asked.Add(1); resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNotModified {
			t.Errorf("the page answers %d", resp.StatusCode)
			return
		}
		if tag = resp.Header.Get("ETag"); resp.StatusCode == http.StatusNotModified {
			same.Add(1)
		}
		calm := time.After(2 * time.Second)
		select {
		case <-news:
		case <-ctx.Done():
			return
		}
		time.Sleep(600*time.Millisecond + rand.N(600*time.Millisecond))
		<-calm
	}
}

func listenForChange(ctx context.Context, client *http.Client, addr string, news chan struct{}) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/api/v1/events?types=change", nil)
	if err != nil {
		return
	}
	r.Header.Set("Accept", "text/event-stream")
	resp, err := client.Do(r)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if lines.Text() == "event: change" {
			select {
			case news <- struct{}{}:
			default:
			}
		}
	}
}

// BenchmarkDashboards has 20 dashboards open, or RUNNERBEAN_BENCH_DASHBOARDS,
// for four seconds, or RUNNERBEAN_BENCH_SECONDS, while ten jobs a second come to
// their end, and reports what share of a core they cost beyond the jobs.
func BenchmarkDashboards(b *testing.B) {
	n, span := envInt("RUNNERBEAN_BENCH_DASHBOARDS", 20), time.Duration(envInt("RUNNERBEAN_BENCH_SECONDS", 4))*time.Second
	allowFiles(b)
	s := newBench(b)
	s.register(2)
	addr, stop := s.serve()
	for b.Loop() {
		alone := s.busyFor(b, span)
		other := startOtherSide(b, "dashboards", addr, "-", strconv.Itoa(n))
		other.line()
		s.members(n)
		s.busyFor(b, 2*time.Second) // all have asked for the first time
		asked, same := other.counts()
		together := s.busyFor(b, span)
		askedNow, sameNow := other.counts()
		b.ReportMetric(100*float64(together-alone)/float64(span), "%core")
		b.ReportMetric(100*float64(alone)/float64(span), "%core-jobs-alone")
		b.ReportMetric(float64(askedNow-asked)/span.Seconds(), "pages/s")
		b.ReportMetric(float64(sameNow-same)/span.Seconds(), "304/s")
		other.stop()
	}
	if err := stop(); err != nil {
		b.Error(err)
	}
}

func (o *otherSide) counts() (asked, same int) {
	o.b.Helper()
	if _, err := io.WriteString(o.in, "\n"); err != nil {
		o.b.Fatal(err)
	}
	if _, err := fmt.Sscan(o.line(), &asked, &same); err != nil {
		o.b.Fatal(err)
	}
	return asked, same
}

// busyFor lets ten jobs a second succeed and returns the processor's time that
// this process has used.
func (s *bench) busyFor(b *testing.B, span time.Duration) time.Duration {
	b.Helper()
	before, tick := cpu(b), time.NewTicker(100*time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(span); time.Now().Before(end); <-tick.C {
		s.succeeded("[1,2,3]")
	}
	return cpu(b) - before
}
