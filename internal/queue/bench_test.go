package queue

import (
	"slices"
	"testing"
	"time"
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
		b.Run(time.Duration(size).String()[:len(time.Duration(size).String())-2], func(b *testing.B) {
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

// BenchmarkWake measures from before the put until a blocked Reserve has returned.
func BenchmarkWake(b *testing.B) {
	_, p, c := pair(b)
	woken := make(chan time.Time)
	go func() {
		defer close(woken)
		for {
			d, err := c.Reserve(b.Context(), []string{"bench"})
			if err != nil {
				return
			}
			woken <- time.Now()
			if err := d.Delete(b.Context()); err != nil {
				return
			}
			woken <- time.Time{}
		}
	}()
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := p.Put(b.Context(), Message{Tube: "bench", Body: document}); err != nil {
			b.Fatal(err)
		}
		took = append(took, (<-woken).Sub(start))
		<-woken
	}
	_ = c.Close()
	<-woken
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
