// Package jobs is for web servers that hand long computations to Runnerbean: it puts
// jobs, and follows their results. It imports no database, no server framework and no
// process handling.
//
// # One client
//
// A web server makes one [Client] and keeps it. The client connects when it is first
// used, so that the server starts whether or not beanstalkd is up:
//
//	client, err := jobs.New(jobs.Config{
//		Beanstalkd: []string{"10.0.0.7:11300", "10.0.0.8:11300"},
//		BaseURL:    "https://results.example", // where the nodes answer
//	})
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//
// The zero [Config] is for a web server on the same machine as a node. [Client.Ping] suits
// a readiness probe.
//
// # Put a job, and give its URL away
//
// [Client.Enqueue] returns as soon as beanstalkd has the job. The URL of the result
// answers at once: with the state until the job has ended, with the result after that.
//
//	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
//	defer cancel()
//	job, err := client.Enqueue(ctx, jobs.Job{
//		Program: "forecast",
//		Input:   jobs.Data(map[string]int{"meter": 42, "days": 7}),
//	})
//	if err != nil {
//		http.Error(w, "no forecasts just now", http.StatusServiceUnavailable)
//		return
//	}
//	http.Redirect(w, r, job.Result.URL, http.StatusSeeOther)
//
// A page can show the job with the script of the nodes, see docs/browser.md. Give an input
// of more than 60 KB by [Input.URL]: the node fetches it.
//
// # Wait, or follow
//
// [Client.Wait] blocks until the job has ended. It goes on while the network or the nodes
// are away, so give it a context with a deadline. [Result.Decode] reads the result of a
// success, and returns why a job has failed:
//
//	res, err := client.Wait(ctx, job.Result.URL)
//	if err != nil {
//		return err
//	}
//	var forecast struct{ Values []float64 }
//	if err := res.Decode(&forecast); err != nil {
//		return err
//	}
//
// [Client.Follow] ranges over the states as they change, for a progress bar of your own.
// [Client.Result] asks once.
//
// # Errors
//
// Every error of Enqueue says what is known of the job: it is [ErrNotPut] or [ErrMaybePut].
//
//   - [ErrNotPut]: the job was not put, and will not run.
//   - [ErrInvalid] too: the job has a fault, so another try is of no use. The error is a
//     [*Fault], which names the member and says what is wanted.
//   - [ErrTooBig] too: give its input by URL.
//   - [ErrOverloaded], [ErrDraining] or [ErrFull] too: the servers cannot take the job before
//     the deadline of ctx, or take none now. Answer 503, and let the browser try again.
//   - [ErrMaybePut]: the answer was lost, so the job may run.
//
// After any error but ErrInvalid and ErrTooBig put the returned job again, now or later. It
// has its id, and under one id a job runs once:
//
//	job, err := client.Enqueue(ctx, order)
//	if errors.Is(err, jobs.ErrMaybePut) {
//		job, err = client.Enqueue(ctx, job)
//	}
//
// # Many jobs
//
// [Client.EnqueueBatch] puts many jobs together, which costs far less for each. It
// returns what became of each, with its id, so that an interrupted batch can go on:
//
//	put, err := client.EnqueueBatch(ctx, orders)
//	if err != nil {
//		var again []jobs.Job
//		for _, e := range put {
//			if e.Err != nil && !errors.Is(e.Err, jobs.ErrInvalid) {
//				again = append(again, e.Job)
//			}
//		}
//		put, err = client.EnqueueBatch(ctx, again)
//	}
//
// # After the commit
//
// beanstalkd holds a new job for some milliseconds before a node records it, and can
// lose it if its machine dies in them. With [Config.Durable] the same calls send jobs to
// the nodes, and return after the commit. That needs a [Config.Token] where the nodes
// have tokens. It takes longer, and the nodes must be up.
//
// With a token, [Client.Get], [Client.List], [Client.Cancel] and [Client.Retry] look after jobs.
//
// # Around every put
//
// [Config.Wrap] stands around Enqueue and EnqueueBatch. It hands the trace of a request on as
// [Job.Traceparent], counts, times, logs or refuses.
//
// # Results that not everybody may read
//
// Who knows the URL of a result can read it. Where nodes run with
// RUNNERBEAN_RESULTS=signed, the URL must be signed, and ends at a time:
//
//	signed, err := jobs.SignURL(job.Result.URL, key, time.Now().Add(24*time.Hour))
//
// # Be told of the end
//
// A job may name a URL of the web server as [Job.Webhook], which gets a POST when the job has
// ended. [VerifyWebhook] checks that it comes from a node.
//
// # Tests
//
// Package [github.com/runnerbean/runnerbean/jobs/jobstest] has a fake, with which the test of a
// handler takes milliseconds, and runs the real thing:
//
//	fake := jobstest.NewFake(t)
//	newServer(fake.Client).ServeHTTP(w, r)
//	job := fake.RequireEnqueued(t, "forecast", 1)[0]
//	fake.Succeed(job.ID, map[string]any{"values": []float64{24.9, 25.3}})
package jobs
