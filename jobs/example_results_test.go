package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/jobs/jobstest"
)

// enqueued returns a job of a program that was put.
func enqueued(client *jobs.Client, program string) jobs.Job {
	job, err := client.Enqueue(context.Background(), jobs.Job{Program: program, Input: jobs.Data(42)})
	if err != nil {
		log.Fatal(err)
	}
	return job
}

func ExampleClient_Wait() {
	client := exampleClient()
	defer client.Close()
	job := enqueued(client, "forecast")

	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	res, err := client.Wait(ctx, job.Result.URL)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.State, string(res.Result))
	// Output: succeeded {"values":[24.9,25.3]}
}

func ExampleClient_Follow() {
	client := exampleClient()
	defer client.Close()
	job := enqueued(client, "forecast")

	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	for res, err := range client.Follow(ctx, job.Result.URL) {
		if err != nil {
			log.Fatal(err)
		}
		switch {
		case res.Progress != nil:
			fmt.Printf("%s %.0f %%, %s\n", res.State, *res.Progress*100, res.Message)
		case res.State == jobs.Succeeded:
			fmt.Printf("%s: %s\n", res.State, res.Result)
		default:
			fmt.Println(res.State)
		}
	}
	// Output:
	// queued
	// running 40 %, week 1
	// running 80 %, week 2
	// succeeded: {"values":[24.9,25.3]}
}

func ExampleResult_Decode() {
	client := exampleClient()
	defer client.Close()
	job := enqueued(client, "forecast")

	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	res, err := client.Wait(ctx, job.Result.URL)
	if err != nil {
		log.Fatal(err)
	}
	var forecast struct{ Values []float64 }
	err = res.Decode(&forecast)
	if why, ok := errors.AsType[*jobs.Error](err); ok {
		log.Fatalf("the forecast has failed: %s", why.Message)
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(forecast.Values[0])
	// Output: 24.9
}

func ExampleClient_Get() {
	client := exampleClient()
	defer client.Close()
	job := enqueued(client, "simulation") // no node has the program

	d, err := client.Get(context.Background(), job.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(d.Job.Program, d.Status.State, d.Allowed)
	// Output: simulation queued [cancel terminate reset]
}

func ExampleClient_Cancel() {
	client := exampleClient()
	defer client.Close()
	job := enqueued(client, "simulation")

	res, err := client.Cancel(context.Background(), job.ID)
	switch {
	case errors.Is(err, jobs.ErrUnknown):
		fmt.Println("there is no such job")
	case err != nil:
		log.Fatal(err)
	default:
		fmt.Println(res.State)
	}
	// Output: cancelled
}

func ExampleClient_List() {
	client := exampleClient()
	defer client.Close()
	fake.Fail(enqueued(client, "report").ID, "no such meter")

	filter := jobs.Filter{State: jobs.Failed, Program: "report", Since: time.Now().Add(-24 * time.Hour)}
	for res, err := range client.List(context.Background(), filter) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(res.Program, res.State+":", res.Error.Message)
	}
	// Output: report failed: no such meter
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

	t := &mainTB{} // the *testing.T of a test
	w := httptest.NewRecorder()
	handler(w, jobstest.NewWebhook(t, key, jobs.WebhookJob{Program: "forecast", State: jobs.Succeeded}))
	fmt.Println(w.Code)
	// Output:
	// forecast succeeded
	// 204
}
