package queue

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/beanstalkd/go-beanstalk"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
)

var document = make([]byte, 1024)

func BenchmarkPut(b *testing.B) {
	_, p, _ := pair(b)
	for b.Loop() {
		if _, err := p.Put(b.Context(), Message{Tube: "bench", Body: document}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPutParallel(b *testing.B) {
	_, p, _ := pair(b)
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := p.Put(b.Context(), Message{Tube: "bench", Body: document}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkPutAll(b *testing.B) {
	for _, size := range []int{1, 10, 1000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			_, p, _ := pair(b)
			batch := make([]Message, size)
			for i := range batch {
				batch[i] = Message{Tube: "bench", Body: document}
			}
			for b.Loop() {
				if _, err := p.PutAll(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "puts/s")
		})
	}
}

func BenchmarkReserveDelete(b *testing.B) {
	_, p, c := pair(b)
	tubes := []string{"bench"}
	batch := make([]Message, 1000)
	for i := range batch {
		batch[i] = Message{Tube: "bench", Body: document}
	}
	for i := 0; b.Loop(); i++ {
		if i%len(batch) == 0 {
			b.StopTimer()
			if _, err := p.PutAll(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		d, err := c.Reserve(b.Context(), tubes)
		if err != nil {
			b.Fatal(err)
		}
		if err := d.Delete(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWake measures from before a put until the Reserve that the server
// had blocked returns; p50 and p99 are the figures, ns/op has the checks in it.
func BenchmarkWake(b *testing.B) {
	s, p, c := pair(b)
	woken, again := make(chan time.Time), make(chan bool)
	go func() {
		defer close(woken)
		for range again {
			d, err := c.Reserve(b.Context(), tubeT)
			if err != nil {
				return
			}
			woken <- time.Now()
			_ = d.Delete(b.Context())
		}
	}()
	var took []time.Duration
	for b.Loop() {
		again <- true
		waiting(b, p, s.Addr, 1)
		start := time.Now()
		if _, err := p.Put(b.Context(), Message{Tube: "t", Body: document}); err != nil {
			b.Fatal(err)
		}
		took = append(took, (<-woken).Sub(start))
	}
	close(again)
	<-woken
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkBarePut is go-beanstalk without this package around it.
func BenchmarkBarePut(b *testing.B) {
	s := queuetest.Start(b)
	c := must[*beanstalk.Conn](b)(beanstalk.Dial("tcp", s.Addr))
	defer c.Close()
	tube := beanstalk.NewTube(c, "bench")
	for b.Loop() {
		if _, err := tube.Put(document, 0, 0, time.Minute); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRawPipeline is what a connection can carry: commands are written
// without an end while the answers are counted.
func BenchmarkRawPipeline(b *testing.B) {
	s := queuetest.Start(b)
	nc := must[net.Conn](b)(net.Dial("tcp", s.Addr))
	defer nc.Close()
	command := fmt.Appendf(nil, "put 0 0 60 %d\r\n%s\r\n", len(document), document)
	many := bytes.Repeat(command, 1000)
	lines := bufio.NewReader(nc)
	for b.Loop() {
		go func() { _, _ = nc.Write(many) }()
		for range 1000 {
			if _, err := lines.ReadSlice('\n'); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N*1000)/b.Elapsed().Seconds(), "puts/s")
}

// BenchmarkBareReserveDelete is go-beanstalk without this package around it.
func BenchmarkBareReserveDelete(b *testing.B) {
	s, p, _ := pair(b)
	c := must[*beanstalk.Conn](b)(beanstalk.Dial("tcp", s.Addr))
	defer c.Close()
	batch := manyMessages(1000, "default")
	for i := 0; b.Loop(); i++ {
		if i%len(batch) == 0 {
			b.StopTimer()
			must[[]Outcome](b)(p.PutAll(b.Context(), batch))
			b.StartTimer()
		}
		id, _, err := c.Reserve(time.Minute)
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Delete(id); err != nil {
			b.Fatal(err)
		}
	}
}
