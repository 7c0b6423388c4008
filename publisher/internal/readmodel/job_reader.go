package readmodel

type Jobs struct {
	cfg   Config
	nodes *Nodes
	// sharing has the programs with due jobs of a priority.
	sharing FlightCache[[]string]
}

func NewJobs(cfg Config, nodes *Nodes) *Jobs { return &Jobs{cfg: cfg, nodes: nodes} }
