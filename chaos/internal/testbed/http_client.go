package testbed

import (
	"io"
	"net/http"
	"time"
)

// token lets requests give orders to the nodes.
const token = "chaos-chaos-chaos-chaos"

// HTTPClient is used for all requests to nodes.
var HTTPClient = &http.Client{
	Timeout:   15 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: 5 * time.Second},
}

// maxBody bounds the answers that are read, in bytes.
const maxBody = 8 << 20

// Do sends a request with the token. It returns status 0 if there is no answer.
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
