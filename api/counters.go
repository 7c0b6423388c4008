package api

// BadCounter ends the names of counters that count what was bad: "records.bad" beside
// "records".
const BadCounter = ".bad"

// Counters is the answer to GET /api/v1/counters: what programs have counted in a window of
// time.
type Counters struct {
	Window Window `json:"window"`
	// Counters are those that have grown, the fastest first, at most 64.
	Counters []Counter `json:"counters"`
}

// Counter is a counter of a program, with that for what was bad.
type Counter struct {
	Program string  `json:"program"`
	Name    string  `json:"name"`
	Total   float64 `json:"total"`
	Bad     float64 `json:"bad"`
	// PerSecond is how fast it has grown, a line for each node. Steps that are not over yet
	// are null.
	PerSecond []Series `json:"per_second"`
	// BadPerSecond is empty if nothing was bad.
	BadPerSecond []Series `json:"bad_per_second"`
}
