package testbed

import (
	"io"
	"net/http"
	"time"
)

// token is what giving orders to a node with such an address asks for.
const token = "chaos-chaos-chaos-chaos"

// HTTPClient is the client of all that the testbed asks of nodes.
var HTTPClient = &http.Client{
	Timeout:   15 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: 5 * time.Second},
}

const maxBody = 8 << 20

func Do(req *http.Request) (int, []byte) {
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := HTTPClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return 0, nil
	}
	return res.StatusCode, body
}
