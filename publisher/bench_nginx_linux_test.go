package publisher

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// nginxConf is nginx at its best for one small file.
const nginxConf = `daemon off;
master_process on;
worker_processes auto;
pid %[1]s/pid;
error_log %[1]s/error.log crit;
events { worker_connections 1024; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	tcp_nodelay on;
	keepalive_requests 1000000000;
	keepalive_timeout 120s;
	open_file_cache max=1000;
	open_file_cache_valid 60s;
	default_type application/json;
	client_body_temp_path %[1]s/1; proxy_temp_path %[1]s/2; fastcgi_temp_path %[1]s/3;
	uwsgi_temp_path %[1]s/4; scgi_temp_path %[1]s/5;
	server { listen %[2]s; root %[1]s/files; }
}
`

// startNginx serves a file and returns its URL and tag.
func startNginx(b *testing.B, name string, body []byte) (url, etag string) {
	b.Helper()
	folder, err := os.MkdirTemp("/tmp", "runnerbean-nginx") // its workers are of another user
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(folder) })
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	must(os.Chmod(folder, 0o755))
	must(os.Mkdir(filepath.Join(folder, "files"), 0o755))
	must(os.WriteFile(filepath.Join(folder, "files", name), body, 0o644))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	addr := ln.Addr().String()
	ln.Close()
	conf := filepath.Join(folder, "conf")
	must(os.WriteFile(conf, fmt.Appendf(nil, nginxConf, folder, addr), 0o644))
	cmd := exec.Command("nginx", "-c", conf, "-e", filepath.Join(folder, "error.log"))
	must(cmd.Start())
	b.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	url = "http://" + addr + "/" + name
	for range 500 {
		if resp, err := http.Get(url); err == nil {
			resp.Body.Close()
			http.DefaultClient.CloseIdleConnections()
			return url, resp.Header.Get("ETag")
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.Fatal("nginx does not answer")
	return "", ""
}

var perSecond = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)

// load is how many requests a second wrk gets answered over 64 connections.
func load(b *testing.B, url, etag string, seconds int) float64 {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	args := []string{"-t2", "-c64", fmt.Sprintf("-d%ds", seconds)}
	if etag != "" {
		args = append(args, "-H", "If-None-Match: "+etag)
	}
	out, err := exec.CommandContext(ctx, "wrk", append(args, url)...).CombinedOutput()
	found := perSecond.FindSubmatch(out)
	if err != nil || found == nil || strings.Contains(string(out), "Non-2xx") || strings.Contains(string(out), "Socket errors") {
		b.Fatalf("wrk: %v: %s", err, out)
	}
	n, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// BenchmarkNginx compares a result of 10 KiB with the same file served by
// nginx, turn by turn in one run: the share of nginx's requests a second.
// RUNNERBEAN_BENCH_ROUNDS and _SECONDS make it longer. Both are bounded by
// system calls and the loopback device: per request one read and one write
// here, besides a read in vain and the scheduler's wake-up, for which
// Go's poller has no way around.
func BenchmarkNginx(b *testing.B) {
	for _, tool := range []string{"nginx", "wrk"} {
		if _, err := exec.LookPath(tool); err != nil {
			b.Skipf("%s is not installed: make need-nginx", tool)
		}
	}
	s := newBench(b)
	addr, stop := s.serve()
	id, body := s.succeeded(tenKiB())
	ours, ourTag := "http://"+addr+"/"+id, s.get("/"+id).Header.Get("ETag")
	theirs, theirTag := startNginx(b, id, body)
	rounds, seconds := envInt("RUNNERBEAN_BENCH_ROUNDS", 1), envInt("RUNNERBEAN_BENCH_SECONDS", 1)
	for name, tags := range map[string][2]string{"200": {}, "304": {ourTag, theirTag}} {
		b.Run(name, func(b *testing.B) {
			var us, them, ratio []float64
			for b.Loop() {
				for range rounds {
					us = append(us, load(b, ours, tags[0], seconds))
					them = append(them, load(b, theirs, tags[1], seconds))
					ratio = append(ratio, us[len(us)-1]/them[len(them)-1])
				}
			}
			b.ReportMetric(median(us), "req/s")
			b.ReportMetric(median(them), "nginx-req/s")
			b.ReportMetric(median(ratio), "of-nginx")
		})
	}
	if err := stop(); err != nil {
		b.Error(err)
	}
}
