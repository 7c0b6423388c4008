package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
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
		job, err := client.Enqueue(r.Context(), jobs.Job{
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

func ExampleVerifyWebhook() {
	// The text of the node's RUNNERBEAN_WEBHOOK_KEY_FILE, kept as a secret.
	const key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

	handler := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil {
			http.Error(w, "cannot read it", http.StatusBadRequest)
			return
		}
		hook, err := jobs.VerifyWebhook(r.Header, body, key, time.Now())
		if err != nil {
			http.Error(w, "not signed by the key", http.StatusUnauthorized)
			return
		}
		fmt.Println(hook.Data.Program, hook.Data.State)
		w.WriteHeader(http.StatusNoContent)
	}

	// What a node sends.
	body := `{"type":"job.succeeded","data":{"id":"019aae04-9f80-7c61-8d2e-5b1c7a90e1f2","program":"forecast","state":"succeeded"}}`
	secret, err := jobs.WebhookKey(key)
	if err != nil {
		log.Fatal(err)
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	r := httptest.NewRequest(http.MethodPost, "/done", strings.NewReader(body))
	r.Header.Set(jobs.HeaderWebhookID, "019aae04-a1b2-7c61-8d2e-5b1c7a90e1f2")
	r.Header.Set(jobs.HeaderWebhookTimestamp, stamp)
	r.Header.Set(jobs.HeaderWebhookSignature, jobs.SignWebhook("019aae04-a1b2-7c61-8d2e-5b1c7a90e1f2", stamp, []byte(body), secret))

	w := httptest.NewRecorder()
	handler(w, r)
	fmt.Println(w.Code)
	// Output:
	// forecast succeeded
	// 204
}

func ExampleClient_Enqueue_fault() {
	client, err := jobs.New(jobs.Config{Beanstalkd: []string{exampleAddr}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	_, err = client.Enqueue(context.Background(), jobs.Job{
		Program:  "forecast",
		Input:    jobs.Input{URL: "https://grid.example/meters/42.json"},
		Attempts: 500,
	})
	if fault, ok := errors.AsType[*jobs.Fault](err); ok {
		fmt.Println(fault.Pointer)
		fmt.Println(fault.Message)
	}
	// Output:
	// /attempts
	// attempts must be at most 100
}

func ExampleClient_EnqueueBatch() {
	client, err := jobs.New(jobs.Config{Beanstalkd: []string{exampleAddr}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	var batch []jobs.Job
	for meter := range 100 {
		batch = append(batch, jobs.Job{
			Program: "forecast",
			Input:   jobs.Input{URL: fmt.Sprintf("https://grid.example/meters/%d.json", meter)},
		})
	}
	put, err := client.EnqueueBatch(context.Background(), batch)
	fmt.Println(len(put), err)
	// Output: 100 <nil>
}

func ExampleClient_Follow() {
	node := exampleNode()
	defer node.Close()
	client, err := jobs.New(jobs.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	for res, err := range client.Follow(ctx, node.URL+"/019aae04-9f80-7c61-8d2e-5b1c7a90e1f2") {
		if err != nil {
			log.Fatal(err)
		}
		switch {
		case res.Progress != nil:
			fmt.Printf("%s %.0f %%\n", res.State, *res.Progress*100)
		case res.State == jobs.Succeeded:
			fmt.Printf("%s: %s\n", res.State, res.Result)
		default:
			fmt.Println(res.State)
		}
	}
	// Output:
	// queued
	// running 40 %
	// running 80 %
	// succeeded: {"values":[24.9,25.3]}
}

func ExampleClient_Wait() {
	node := exampleNode()
	defer node.Close()
	client, err := jobs.New(jobs.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	res, err := client.Wait(ctx, node.URL+"/019aae04-9f80-7c61-8d2e-5b1c7a90e1f2")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.State, string(res.Result))
	// Output: succeeded {"values":[24.9,25.3]}
}

func ExampleDecode() {
	job, err := jobs.Decode([]byte(`{
		"id": "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2",
		"program": "forecast",
		"input": {"data": {"meter": 12345678901234567890}},
		"result": {"url": "https://results.example/019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"},
		"timeout": "1.5h"
	}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Program, string(job.Input.Data), time.Duration(job.Timeout))
	// Output: forecast {"meter": 12345678901234567890} 1h30m0s
}

func ExampleFault() {
	for _, document := range []string{
		`{"id": "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2", "programm": "forecast"}`,
		`{"id": "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2", "program": "../bin/sh", "input": {"data": null},
		  "result": {"url": "https://results.example/019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"}}`,
		`{"id": "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2", "id": "again"}`,
		`{"id": `,
	} {
		_, err := jobs.Decode([]byte(document))
		if fault, ok := errors.AsType[*jobs.Fault](err); ok {
			fmt.Printf("%q %s\n", fault.Pointer, fault.Message)
		}
	}
	// Output:
	// "/programm" unknown field "programm"; did you mean "program"?
	// "/program" program must be the name of an installed program: 1 to 64 lower-case letters, digits, '.', '_' or '-', the first a letter or digit, not "../bin/sh"
	// "/id" id occurs twice; a name may occur once in an object
	// "" the document is not JSON: it ends too early
}

func ExampleComplete() {
	document := []byte(`{"id":"019aae04-9f80-7c61-8d2e-5b1c7a90e1f2","program":"forecast","input":{"data":null}}`)
	now := time.Date(2026, 11, 22, 6, 16, 0, 0, time.UTC)
	complete, err := jobs.Complete(document, "https://results.example", now)
	if err != nil {
		log.Fatal(err)
	}
	job, err := jobs.Decode(complete)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Result.URL)
	fmt.Println(job.Created)
	// Output:
	// https://results.example/019aae04-9f80-7c61-8d2e-5b1c7a90e1f2
	// 2026-11-22 06:16:00 +0000 UTC
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

// exampleNode stands for a node whose one job is at its beginning.
func exampleNode() *httptest.Server {
	const head = `{"id":"019aae04-9f80-7c61-8d2e-5b1c7a90e1f2","program":"forecast","timestamp":"2026-11-22T06:16:00Z",`
	states := []string{
		head + `"state":"queued"}`,
		head + `"state":"running","progress":0.4}`,
		head + `"state":"running","progress":0.8}`,
		head + `"state":"succeeded","result":{"values":[24.9,25.3]}}`,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{id}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, states[len(states)-1])
	})
	mux.HandleFunc("GET /{id}/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, s := range states {
			fmt.Fprintf(w, "event: state\ndata: %s\n\n", s)
		}
	})
	return httptest.NewServer(mux)
}

func ExampleSignURL() {
	// A line of the nodes' RUNNERBEAN_URL_KEY_FILE.
	key := []byte("Zm9ydHktdHdvIGJ5dGVzIHRoYXQgbm9ib2R5IGtub3dz")
	result := "https://results.example/019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"
	signed, err := jobs.SignURL(result, key, time.Unix(1795000000, 0))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(signed)
	// Output: https://results.example/019aae04-9f80-7c61-8d2e-5b1c7a90e1f2?expires=1795000000&signature=8Cd9SeCyMaLHQLti-nP2FP5_yU-Tx2TBH96v8P4DpWc
}
