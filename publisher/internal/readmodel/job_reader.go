package readmodel

type Jobs struct {
	cfg   Config
	nodes *Nodes
}

func NewJobs(cfg Config, nodes *Nodes) *Jobs { return &Jobs{cfg: cfg, nodes: nodes} }
