package jobs

// AppendJob is the encoder of documents.
var AppendJob = appendJob

// Document does what Enqueue does before it sends a job.
func Document(c *Client, job Job) error {
	_, err := c.message(&job, nil)
	return err
}
