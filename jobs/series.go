package jobs

// Series is one line of a plot: a value for each step of a window, null where
// nothing is known.
type Series struct {
	Name   string     `json:"name"`
	Points []*float64 `json:"points"`
}

// JobSeries is the answer to GET /api/v1/jobs/<id>/series: what the newest
// attempt said about itself, over time.
type JobSeries struct {
	Attempt int `json:"attempt"`
	// Seconds since the attempt started, one for each point.
	Seconds []float64 `json:"seconds"`
	// Series are "progress" and the counters.
	Series []Series `json:"series"`
}
