package api

// Series is one line of a plot: a value for each step of a window, null if it is not
// known.
type Series struct {
	Name   string     `json:"name"`
	Points []*float64 `json:"points"`
}

// JobSeries is the answer to GET /api/v1/jobs/<id>/series: the progress and the
// counters of the newest attempt over time.
type JobSeries struct {
	Attempt int `json:"attempt"`
	// Seconds since the attempt started, one for each point.
	Seconds []float64 `json:"seconds"`
	// Series are "progress" and the counters.
	Series []Series `json:"series"`
}
