package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is what the parts of the system had used at one time.
type usage struct {
	user, system         time.Duration // of this process: the node and the benchmark
	children, beanstalkd time.Duration
	idle, all            time.Duration // of all processors of the machine
	counts               map[string]float64
}

// processors returns the processor time of the whole system.
func (u usage) processors() time.Duration { return u.user + u.system + u.children + u.beanstalkd }

// minus returns what was used since before.
func (u usage) minus(before usage) usage {
	d := usage{
		user: u.user - before.user, system: u.system - before.system, children: u.children - before.children,
		beanstalkd: u.beanstalkd - before.beanstalkd, idle: u.idle - before.idle, all: u.all - before.all,
		counts: map[string]float64{},
	}
	for name, n := range u.counts {
		if n -= before.counts[name]; n > 0 {
			d.counts[name] = n
		}
	}
	return d
}

// plus returns the sum of both.
func (u usage) plus(v usage) usage {
	sum := usage{
		user: u.user + v.user, system: u.system + v.system, children: u.children + v.children,
		beanstalkd: u.beanstalkd + v.beanstalkd, idle: u.idle + v.idle, all: u.all + v.all, counts: map[string]float64{},
	}
	for _, counts := range []map[string]float64{u.counts, v.counts} {
		for name, n := range counts {
			sum.counts[name] += n
		}
	}
	return sum
}

// meter reads what a node and its beanstalkd use.
type meter struct {
	base  string // URL of the node
	addr  string // of beanstalkd
	child int    // process of beanstalkd
}

// processorsNow returns the processor times alone. It costs little.
func (m meter) processorsNow() usage {
	var own syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &own)
	u := usage{
		user: time.Duration(own.Utime.Nano()), system: time.Duration(own.Stime.Nano()),
		children: childTimes(m.child), beanstalkd: processTime(m.child),
	}
	u.idle, u.all = machineTimes()
	return u
}

// now returns all that is measured.
func (m meter) now(ctx context.Context) (usage, error) {
	counts := map[string]float64{}
	if err := m.addOperations(ctx, counts); err != nil {
		return usage{}, err
	}
	if err := m.addCommands(counts); err != nil {
		return usage{}, err
	}
	addTransfers(counts, "self", "node")
	addTransfers(counts, strconv.Itoa(m.child), "beanstalkd")
	u := m.processorsNow()
	u.counts = counts
	return u, nil
}

// addOperations adds the operations on the ledger, from the metrics of the node.
func (m meter) addOperations(ctx context.Context, counts map[string]float64) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.base+"/metrics", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), `runnerbean_ledger_operation_duration_seconds_count{op="`)
		if op, value, found := strings.Cut(rest, `"} `); ok && found {
			counts["ledger "+op], _ = strconv.ParseFloat(value, 64)
		}
	}
	return lines.Err()
}

// addCommands adds the commands that beanstalkd has got.
func (m meter) addCommands(counts map[string]float64) error {
	stats, err := beanstalkdStats(m.addr)
	if err != nil {
		return err
	}
	for line := range strings.Lines(stats) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if command, ok := strings.CutPrefix(name, "cmd-"); ok && command != "stats" {
			counts["beanstalkd "+command], _ = strconv.ParseFloat(value, 64)
		}
	}
	return nil
}

// beanstalkdStats returns the statistics of a server, as YAML.
func beanstalkdStats(addr string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, serverTimeout)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(serverTimeout))
	if _, err := io.WriteString(conn, "stats\r\n"); err != nil {
		return "", err
	}
	r := bufio.NewReader(conn)
	var size int
	if _, err := fmt.Fscanf(r, "OK %d\r\n", &size); err != nil || size > maxStats {
		return "", fmt.Errorf("beanstalkd does not tell its statistics: %w", err)
	}
	body := make([]byte, size)
	_, err = io.ReadFull(r, body)
	return string(body), err
}

const (
	serverTimeout = 10 * time.Second
	maxStats      = 1 << 20 // bytes
)

// residentMemory returns the resident memory in bytes. It is 0 where there is no /proc.
func residentMemory() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
