package publisher

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// tenKiB is a result of 10 KiB of numbers such as a simulation gives.
func tenKiB() string {
	r := rand.New(rand.NewPCG(1, 2))
	var s strings.Builder
	s.WriteByte('[')
	for s.Len() < 10<<10-300 {
		fmt.Fprintf(&s, "%.3f,", 30000+5000*r.NormFloat64())
	}
	s.WriteString("0]")
	return s.String()
}

// nullWriter takes an answer as a connection would, at no cost of its own.
type nullWriter struct {
	h      http.Header
	status int
}

func (w *nullWriter) Header() http.Header         { return w.h }
func (w *nullWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *nullWriter) WriteHeader(status int)      { w.status = status }

func BenchmarkGet(b *testing.B) {
	s := newBench(b)
	done, _ := s.succeeded(tenKiB())
	etag := s.get("/" + done).Header.Get("ETag")
	queued := s.queued("")
	for _, test := range []struct {
		name, id string
		fields   []string
	}{
		{"plain", done, nil},
		{"gzip", done, []string{"Accept-Encoding: gzip, deflate, br"}},
		{"304", done, []string{"If-None-Match: " + etag}},
		{"browser", done, []string{"Accept: */*", "Accept-Encoding: gzip, deflate, br", "Accept-Language: en", "User-Agent: x", "Origin: https://www.example"}},
		{"pending", queued, nil},
	} {
		b.Run(test.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/"+test.id, nil)
			for _, f := range test.fields {
				name, value, _ := strings.Cut(f, ": ")
				r.Header.Set(name, value)
			}
			handler := s.p.Handler()
			b.ReportAllocs()
			for b.Loop() {
				w := nullWriter{h: make(http.Header)}
				handler.ServeHTTP(&w, r)
			}
		})
	}
}

// BenchmarkServed asks a real server over kept connections.
func BenchmarkServed(b *testing.B) {
	s := newBench(b)
	addr, stop := s.serve()
	done, _ := s.succeeded(tenKiB())
	etag := s.get("/" + done).Header.Get("ETag")
	for name, tag := range map[string]string{"200": "", "304": etag} {
		b.Run(name, func(b *testing.B) {
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				client := &http.Client{Transport: &http.Transport{}}
				defer client.CloseIdleConnections()
				r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+addr+"/"+done, nil)
				if err != nil {
					b.Error(err)
					return
				}
				if tag != "" {
					r.Header.Set("If-None-Match", tag)
				}
				for pb.Next() {
					resp, err := client.Do(r)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
		})
	}
	if err := stop(); err != nil {
		b.Error(err)
	}
}

// TestServeForMeasuring serves one result until interrupted, for a load
// generator; MEASURE names the address.
func TestServeForMeasuring(t *testing.T) {
	if os.Getenv("MEASURE") == "" {
		t.Skip("MEASURE names no address")
	}
	b := newBench(t)
	addr, stop := b.serve()
	done, _ := b.succeeded(tenKiB())
	fmt.Fprintf(os.Stderr, "http://%s/%s %s\n", addr, done, b.get("/"+done).Header.Get("ETag"))
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM, os.Interrupt)
	<-c
	_ = stop()
}
