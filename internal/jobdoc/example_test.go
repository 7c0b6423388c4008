package jobdoc_test

import (
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/jobs"
)

func ExampleDecode() {
	job, err := jobdoc.Decode([]byte(`{
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

func ExampleDecode_fault() {
	for _, document := range []string{
		`{"id": "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2", "programm": "forecast"}`,
		`{"id": "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2", "program": "../bin/sh", "input": {"data": null},
		  "result": {"url": "https://results.example/019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"}}`,
		`{"id": "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2", "id": "again"}`,
		`{"id": `,
	} {
		_, err := jobdoc.Decode([]byte(document))
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
	complete, err := jobdoc.Complete(document, "https://results.example", now)
	if err != nil {
		log.Fatal(err)
	}
	job, err := jobdoc.Decode(complete)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Result.URL)
	fmt.Println(job.Created)
	// Output:
	// https://results.example/019aae04-9f80-7c61-8d2e-5b1c7a90e1f2
	// 2026-11-22 06:16:00 +0000 UTC
}
