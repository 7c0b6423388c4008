package jobs_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// ordinary is a job as a web server makes it.
func ordinary() jobs.Job {
	return jobs.Job{
		Program: "forecast", Input: jobs.Input{URL: "https://grid.example/meters/42.json"},
		Timeout: jobs.Duration(90 * time.Minute), Labels: map[string]string{"meter": "42", "region": "north"},
	}
}

// benchClient returns a client of a server of its own, and the server's address.
func benchClient(b *testing.B) (*jobs.Client, string) {
	s := queuetest.Start(b)
	c, err := jobs.New(jobs.Config{Beanstalkd: []string{s.Addr}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return c, s.Addr
}

// BenchmarkDocument is the part of Enqueue before the job is sent.
func BenchmarkDocument(b *testing.B) {
	c, _ := benchClient(b)
	byURL, byData := ordinary(), ordinary()
	byData.Input = jobs.Data(map[string]any{"meter": 42, "values": []float64{24.1, 23.8, 24.9, 25.3}})
	for name, job := range map[string]jobs.Job{"url": byURL, "data": byData} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := jobs.Document(c, job); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEnqueue(b *testing.B) {
	c, _ := benchClient(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Enqueue(b.Context(), ordinary()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEnqueueBatch also reports how many times as fast a job is as with Enqueue.
func BenchmarkEnqueueBatch(b *testing.B) {
	c, _ := benchClient(b)
	batch := make([]jobs.Job, 1000)
	for i := range batch {
		batch[i] = ordinary()
	}
	begin := time.Now()
	for _, job := range batch {
		if _, err := c.Enqueue(b.Context(), job); err != nil {
			b.Fatal(err)
		}
	}
	single := time.Since(begin)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if _, err := c.EnqueueBatch(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(n*len(batch))/b.Elapsed().Seconds(), "jobs/s")
	b.ReportMetric(single.Seconds()*float64(n)/b.Elapsed().Seconds(), "times-Enqueue")
}

// BenchmarkEnqueueBatchOfRaw compares EnqueueBatch with what one connection can carry: puts
// of the same documents, one message each, in large writes, with the answers read in order.
// Both take turns. It reports jobs per second of both and the ratio.
func BenchmarkEnqueueBatchOfRaw(b *testing.B) {
	for name, data := range map[string]int{"by URL": 0, "1 KiB": 1 << 10, "10 KiB": 10 << 10} {
		b.Run(name, func(b *testing.B) {
			c, addr := benchClient(b)
			raw := newRawPutter(b, addr)
			batch, bodies := make([]jobs.Job, 1000), make([][]byte, 1000)
			for i := range batch {
				batch[i] = ordinary()
				if data > 0 {
					batch[i].Input = jobs.Data(strings.Repeat("x", data-len(`""`)))
				}
				job := batch[i]
				job.ID, job.Created = jobs.NewID(), time.Now().UTC().Truncate(time.Millisecond)
				job.Result.URL = "http://127.0.0.1:8420/" + job.ID
				bodies[i], _ = json.Marshal(job)
			}
			var alone, packed time.Duration
			for b.Loop() {
				begin := time.Now()
				raw.put(b, bodies)
				between := time.Now()
				if _, err := c.EnqueueBatch(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				alone, packed = alone+between.Sub(begin), packed+time.Since(between)
			}
			n := float64(b.N * len(batch))
			b.ReportMetric(n/alone.Seconds(), "raw-jobs/s")
			b.ReportMetric(n/packed.Seconds(), "jobs/s")
			b.ReportMetric(alone.Seconds()/packed.Seconds(), "of-raw")
		})
	}
}

// rawPutter puts messages over one connection.
type rawPutter struct {
	conn    net.Conn
	answers *bufio.Reader
}

func newRawPutter(b *testing.B, addr string) *rawPutter {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	p := &rawPutter{conn, bufio.NewReaderSize(conn, 64<<10)}
	if _, err := conn.Write([]byte("use raw\r\n")); err != nil {
		b.Fatal(err)
	}
	p.expect(b, "USING")
	return p
}

func (p *rawPutter) put(b *testing.B, bodies [][]byte) {
	written := make(chan error, 1)
	go func() {
		w := bufio.NewWriterSize(p.conn, 64<<10)
		for _, body := range bodies {
			fmt.Fprintf(w, "put 1024 0 60 %d\r\n", len(body))
			w.Write(body)
			w.WriteString("\r\n")
		}
		written <- w.Flush()
	}()
	for range bodies {
		p.expect(b, "INSERTED")
	}
	if err := <-written; err != nil {
		b.Fatal(err)
	}
}

func (p *rawPutter) expect(b *testing.B, word string) {
	line, err := p.answers.ReadSlice('\n')
	if err != nil || !bytes.HasPrefix(line, []byte(word)) {
		b.Fatalf("beanstalkd answers %q: %v", line, err)
	}
}
