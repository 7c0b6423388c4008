// Package jobstest helps to test a web server that uses package jobs.
//
// [NewFake] tests a handler in milliseconds, without any installed program: the
// server's client talks to a fake, which records what is enqueued, and the test says what
// becomes of each job:
//
//	func TestOrder(t *testing.T) {
//		fake := jobstest.NewFake(t)
//		w := httptest.NewRecorder()
//		newServer(fake.Client).ServeHTTP(w, httptest.NewRequest("POST", "/orders", nil))
//
//		job := fake.RequireEnqueued(t, "forecast", 1)[0]
//		fake.Succeed(job.ID, map[string]any{"values": []int{24, 25}})
//		// ... and look at the page that shows the result.
//	}
//
// [Start] runs the whole with a real beanstalkd, a real node and programs:
//
//	node := jobstest.Start(t, jobstest.Program{Name: "upper", Run: "#!/bin/sh\ntr a-z A-Z\n"})
//	job, err := node.Client.Enqueue(t.Context(), jobs.Job{Program: "upper", Input: jobs.Input{Data: []byte(`"hello"`)}})
package jobstest
