package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// cmdstalkTube is the tube of the jobs that cmdstalk runs.
const cmdstalkTube = "bench-cmdstalk"

// cmdstalk runs the same program with the same inputs. It starts a shell for each job and
// keeps nothing of it.
type cmdstalk struct {
	path, addr string
	slots      int
	input      []byte
}

// findCmdstalk returns nil where cmdstalk is not in the PATH.
func findCmdstalk(addr string, slots int, input []byte) *cmdstalk {
	path, err := exec.LookPath("cmdstalk")
	if err != nil {
		return nil
	}
	return &cmdstalk{path, addr, slots, input}
}

// throughput puts count jobs, waits until all are deleted, and returns jobs per second.
func (c *cmdstalk) throughput(ctx context.Context, count int, done func(int)) (float64, error) {
	cmd := exec.CommandContext(ctx, c.path, "-address", c.addr, "-tubes", cmdstalkTube, "-cmd", "cat", "-per-tube", strconv.Itoa(c.slots))
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	before, err := deletions(c.addr)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := c.put(count); err != nil {
		return 0, err
	}
	for {
		now, err := deletions(c.addr)
		if err != nil || now-before >= count {
			return float64(count) / time.Since(start).Seconds(), err
		}
		done(now - before)
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// put puts the jobs, many in one write.
func (c *cmdstalk) put(count int) error {
	conn, err := net.DialTimeout("tcp", c.addr, serverTimeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	if _, err := fmt.Fprintf(conn, "use %s\r\n", cmdstalkTube); err != nil {
		return err
	}
	if _, err := answers.ReadString('\n'); err != nil {
		return err
	}
	command := fmt.Sprintf("put 1024 0 60 %d\r\n%s\r\n", len(c.input), c.input)
	for left := count; left > 0; {
		n := min(left, 64)
		_ = conn.SetDeadline(time.Now().Add(serverTimeout))
		if _, err := conn.Write(bytes.Repeat([]byte(command), n)); err != nil {
			return err
		}
		for range n {
			if line, err := answers.ReadString('\n'); err != nil || !strings.HasPrefix(line, "INSERTED") {
				return fmt.Errorf("beanstalkd answers %q to a put: %w", line, err)
			}
		}
		left -= n
	}
	return nil
}

// deletions returns how many jobs were deleted on a server.
func deletions(addr string) (int, error) {
	stats, err := beanstalkdStats(addr)
	_, rest, _ := strings.Cut(stats, "cmd-delete: ")
	line, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.Atoi(strings.TrimSpace(line))
	return n, err
}
