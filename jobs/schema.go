package jobs

// Schema is the JSON Schema (2020-12) of a job document.
func Schema() []byte { return nil }

// ResultSchema is the JSON Schema (2020-12) of a result document.
func ResultSchema() []byte { return nil }
