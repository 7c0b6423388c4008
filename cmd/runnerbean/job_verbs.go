package main

// verb is a change of jobs. To add one, add an entry to verbs.
type verb struct {
	name, short, long, example string
	past                       string // the verb's past participle
	done                       string // of many jobs, after their number
	states                     string // that --state allows, if not those of jobs without success
}

var verbs = []verb{
	{
		name: "cancel", short: "Cancel jobs: an idle one at once, a running one as soon as its program has stopped",
		long: `Cancel jobs. One that waits or is queued ends at once. A running program gets
SIGTERM and the grace period to save what it has, then SIGKILL; see "terminate"
for one that shall not get any time. "retry" takes a cancelled job back.`,
		example: `  runnerbean cancel 019aae04-9f80-7c61-8d2e-5b1c7a90e1f2
  runnerbean cancel --program forecast --state queued
  runnerbean cancel --label customer=42 --yes`,
		past: "cancelled", done: "cancelled, running ones as soon as their programs have stopped",
	},
	{
		name: "stop", short: "Stop running jobs, with time to end by themselves; idle ones stay as they are",
		long: `Stop running jobs: like "cancel", but a job that does not run is left alone.`,
		example: `  runnerbean stop 019aae04-9f80-7c61-8d2e-5b1c7a90e1f2
  runnerbean stop --node worker1 --yes`,
		past: "stopped", done: "about to stop",
	},
	{
		name: "terminate", short: "Cancel jobs and kill their programs at once",
		long: `Cancel jobs; a running program and all that it has started is killed at once
and cannot save anything. It also ends the grace period of one that was cancelled.`,
		example: `  runnerbean terminate 019aae04-9f80-7c61-8d2e-5b1c7a90e1f2
  runnerbean terminate --program runaway --state running`,
		past: "terminated", done: "terminated",
	},
	{
		name: "retry", short: "Run failed or cancelled jobs again, under the same id and URL",
		long: `Run jobs again that have failed or were cancelled: same id, same result URL, as
many attempts as at first. What happened before stays in the job's history. A
job still waits for the earliest start of its document. Its expiry stays in
force, too, unless it has passed.

A job whose needs have failed is refused: within a selection, needs come first.
With --with-dependents the jobs that failed only because they need these are
retried, too, and so on. One that needs another failed job stays and is named.

The result of a job that has succeeded never changes. With --as-new it is run
again as a new job, whose document names the old one. With --missing-result a
success whose result is gone from the store is run again under its id; one whose
result is there is left alone.`,
		example: `  runnerbean retry 019aae04-9f80-7c61-8d2e-5b1c7a90e1f2
  runnerbean retry --program forecast --state failed
  runnerbean retry --with-dependents 019aae04-9f80-7c61-8d2e-5b1c7a90e1f2
  runnerbean retry --as-new 019aae04-9f80-7c61-8d2e-5b1c7a90e1f2
  runnerbean retry --missing-result --all`,
		past: "retried", done: "queued again",
	},
	{
		name: "reset", short: "Let jobs that have not succeeded start over",
		long: `Let jobs start over that have not succeeded, whatever they do now: a running
program is killed, which costs the job no attempt; backoffs and counted errors are
forgotten. A job still waits for the earliest start of its document.`,
		example: `  runnerbean reset 019aae04-9f80-7c61-8d2e-5b1c7a90e1f2
  runnerbean reset --node worker1 --state running`,
		past: "reset", done: "about to start over",
	},
	{
		name: "delete", short: "Delete jobs that have ended, with their results, logs and files",
		long: `Delete jobs that have ended, with their results, logs and files. That cannot be
undone. The URL of a deleted job answers 410 with the date, and its id cannot be
used again. A job stays that others wait for, or whose webhook or delivery has
not been sent yet. See "prune" for old jobs.`,
		example: `  runnerbean delete 019aae04-9f80-7c61-8d2e-5b1c7a90e1f2
  runnerbean delete --program forecast --state failed
  runnerbean delete --label customer=42 --yes`,
		past: "deleted", done: "deleted", states: "succeeded, failed, cancelled",
	},
	{
		name: "checkpoint", short: "Ask running programs to save a checkpoint; the jobs run on",
		long: `Ask running programs to save a checkpoint, from which another attempt would go on.
The jobs run on. Only programs whose program.json says "checkpoint" save on
request. "show" lists the checkpoints of a job.`,
		example: `  runnerbean checkpoint 019aae04-9f80-7c61-8d2e-5b1c7a90e1f2
  runnerbean checkpoint --program simulate --yes`,
		past: "asked for a checkpoint", done: "asked for a checkpoint", states: "running",
	},
}
