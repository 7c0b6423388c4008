// Package jobs holds the documents of Runnerbean, [Job] and [Result], their JSON
// Schemas, strict decoding, and the client with which a web server submits jobs
// and follows their results. It imports no database and no server framework.
//
// A web server makes one client and keeps it:
//
//	client, err := jobs.New(jobs.Config{
//		Beanstalkd: []string{"10.0.0.7:11300"},
//		BaseURL:    "https://results.example",
//	})
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//
// and then, for each request, puts a job and gives its result URL to the
// browser at once; the URL answers before the job has run:
//
//	job, err := client.Enqueue(ctx, jobs.Job{
//		Program: "forecast",
//		Input:   jobs.Input{URL: "https://grid.example/meters/42.json"},
//	})
//	http.Redirect(w, r, job.Result.URL, http.StatusSeeOther)
//
// [Client.Wait] blocks until the job has ended. [Client.Follow] ranges over its
// states as they change.
package jobs
