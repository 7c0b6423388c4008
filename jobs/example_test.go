package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

func Example() {
	// exampleAddr is where a beanstalkd listens, 127.0.0.1:11300 as a rule.
	client, err := jobs.New(jobs.Config{
		Beanstalkd: []string{exampleAddr},
		BaseURL:    "https://results.example",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	// A handler of a web server: the answer does not wait for the job.
	handler := func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		job, err := client.Enqueue(ctx, jobs.Job{
			Program: "forecast",
			Input:   jobs.Input{URL: "https://grid.example/meters/42.json"},
		})
		if err != nil {
			http.Error(w, "busy, please try again", http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, r, job.Result.URL, http.StatusSeeOther)
	}

	w := httptest.NewRecorder()
	handler(w, httptest.NewRequest(http.MethodPost, "/forecast", nil))
	fmt.Println(w.Code, w.Header().Get("Location")[:len("https://results.example/")])
	// Output: 303 https://results.example/
}

func ExampleClient_Enqueue() {
	client, err := jobs.New(jobs.Config{Beanstalkd: []string{exampleAddr}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	job, err := client.Enqueue(context.Background(), jobs.Job{
		ID:      "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2", // usually left to the client
		Program: "forecast",
		Input:   jobs.Input{Data: json.RawMessage(`{"series":[24.1,23.8]}`)},
		Timeout: jobs.Duration(90 * time.Minute),
		Labels:  map[string]string{"meter": "42"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Result.URL)
	// Output: http://127.0.0.1:8420/019aae04-9f80-7c61-8d2e-5b1c7a90e1f2
}

func ExampleClient_Enqueue_errors() {
	client := exampleClient()
	defer client.Close()

	job := jobs.Job{Program: "forecast", Input: jobs.Data(42), Attempts: 500}
	job, err := client.Enqueue(context.Background(), job)
	if errors.Is(err, jobs.ErrMaybePut) {
		job, err = client.Enqueue(context.Background(), job) // has its id by now, so that it runs once
	}
	fault, invalid := errors.AsType[*jobs.Fault](err)
	switch {
	case err == nil:
		fmt.Println("put", job.ID)
	case invalid:
		fmt.Println("fault at", fault.Pointer+":", fault.Message)
	case errors.Is(err, jobs.ErrMaybePut):
		fmt.Println("not known; put the same job again later")
	default:
		fmt.Println("not put:", err)
	}
	// Output: fault at /attempts: attempts must be at most 100
}

func ExampleClient_EnqueueBatch() {
	client := exampleClient()
	defer client.Close()

	var batch []jobs.Job
	for meter := range 100 {
		batch = append(batch, jobs.Job{
			Program: "forecast",
			Input:   jobs.Input{URL: fmt.Sprintf("https://grid.example/meters/%d.json", meter)},
		})
	}
	batch[7].Attempts = 500 // a fault, which does not hold up the others
	all, err := client.EnqueueBatch(context.Background(), batch)
	if err != nil { // of at least one job
		fmt.Println(errors.Is(err, jobs.ErrNotPut), errors.Is(err, jobs.ErrMaybePut))
	}
	var again []jobs.Job
	for i, e := range all {
		switch {
		case errors.Is(e.Err, jobs.ErrInvalid):
			fault, _ := errors.AsType[*jobs.Fault](e.Err)
			fmt.Println(i, fault.Message)
		case e.Err != nil:
			again = append(again, e.Job) // it has its id, so it will not run twice
		}
	}
	fmt.Println(len(again))
	// Output:
	// true false
	// 7 attempts must be at most 100
	// 0
}

func ExampleData() {
	client := exampleClient()
	defer client.Close()

	type window struct {
		Meter int `json:"meter"`
		Days  int `json:"days"`
	}
	job, err := client.Enqueue(context.Background(), jobs.Job{
		Program: "forecast",
		Input:   jobs.Data(window{Meter: 42, Days: 7}),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(job.Input.Data))
	// Output: {"meter":42,"days":7}
}

func ExampleClient_Ping() {
	client := exampleClient()
	defer client.Close()

	// A readiness probe of a web server.
	handler := func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := client.Ping(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	}

	w := httptest.NewRecorder()
	handler(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	fmt.Print(w.Body)
	// Output: ready
}

func ExampleConfig_durable() {
	client, err := jobs.New(jobs.Config{
		BaseURL: fake.URL,            // https://results.example
		Token:   fake.Config().Token, // kept as a secret, with the role submit
		Durable: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	job, err := client.Enqueue(context.Background(), jobs.Job{
		ID:      "019aae04-a1b2-7c61-8d2e-5b1c7a90e1f2", // such as that of an order, so that it runs once
		Program: "forecast",
		Input:   jobs.Data([]float64{24.1, 23.8}),
	})
	switch {
	case errors.Is(err, jobs.ErrConflict):
		fmt.Println("this order had another input")
	case errors.Is(err, jobs.ErrInvalid):
		fmt.Println("a fault:", err)
	case errors.Is(err, jobs.ErrMaybePut):
		fmt.Println("not known; put the same job again later")
	case err != nil:
		fmt.Println("not put:", err)
	default:
		fmt.Println("recorded", job.ID)
	}
	// Output: recorded 019aae04-a1b2-7c61-8d2e-5b1c7a90e1f2
}

// encoding/json writes a Job and leaves out the fields that are not set.
func ExampleJob() {
	id := "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"
	text, err := json.MarshalIndent(jobs.Job{
		ID:      id,
		Program: "forecast",
		Input:   jobs.Input{URL: "https://grid.example/meters/42.json"},
		Result:  jobs.Target{URL: "https://results.example/" + id},
		Timeout: jobs.Duration(90 * time.Minute),
	}, "", "  ")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
	// Output:
	// {
	//   "id": "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2",
	//   "program": "forecast",
	//   "input": {
	//     "url": "https://grid.example/meters/42.json"
	//   },
	//   "result": {
	//     "url": "https://results.example/019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"
	//   },
	//   "timeout": "1h30m0s"
	// }
}
