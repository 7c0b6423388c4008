package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

const (
	day  = 48 // half hours
	week = 7 * day
)

// order does what a browser does: it sends the form of the website, follows the result
// URL, and prints how good the forecast is.
func order(ctx context.Context, at addresses) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	resultURL, err := sendForm(ctx, at)
	if err != nil {
		return fmt.Errorf("the order: %w", err)
	}
	fmt.Println("Result URL:       ", resultURL)
	result, err := follow(ctx, resultURL)
	if err != nil {
		return err
	}
	fmt.Println("Timestamp:        ", result.Timestamp.Format(time.RFC3339Nano))
	return compare(ctx, at, result)
}

// sendForm sends the form and returns the result URL, which answers before the job has
// run.
func sendForm(ctx context.Context, at addresses) (string, error) {
	form := strings.NewReader(url.Values{"horizon": {fmt.Sprint(week)}}.Encode())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, at.website+"/forecasts", form)
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusSeeOther {
		return "", fmt.Errorf("the website answers %s", answer.Status)
	}
	id := path.Base(answer.Header.Get("Location"))
	if !jobs.ValidID(id) {
		return "", fmt.Errorf("the website redirects to %q", answer.Header.Get("Location"))
	}
	return at.node + "/" + id, nil
}

// follow prints the progress of a job until it has succeeded.
func follow(ctx context.Context, resultURL string) (jobs.Result, error) {
	client, err := jobs.New(jobs.Config{})
	if err != nil {
		return jobs.Result{}, err
	}
	defer client.Close()
	for result, err := range client.Follow(ctx, resultURL) {
		switch {
		case err != nil:
			return result, err
		case result.State == jobs.Succeeded:
			return result, nil
		case result.State.Final():
			return result, fmt.Errorf("the job %s: %+v", result.State, result.Error)
		case result.Progress != nil:
			fmt.Printf("  %3.0f %%  %s\n", *result.Progress*100, result.Message)
		}
	}
	return jobs.Result{}, errors.New("the event stream of the result URL ended before the job")
}

// compare prints the error of the forecast over the weeks that were held back.
func compare(ctx context.Context, at addresses, result jobs.Result) error {
	var forecast struct{ Series struct{ Values []float64 } }
	if err := json.Unmarshal(result.Result, &forecast); err != nil {
		return err
	}
	known, err := demand(ctx, at, 8)
	if err != nil {
		return err
	}
	all, err := demand(ctx, at, 12)
	if err != nil {
		return err
	}
	actual, predicted := all[len(known):], forecast.Series.Values
	if len(predicted) < week || len(actual) < week {
		return fmt.Errorf("%d predicted and %d held-back values, a week is %d", len(predicted), len(actual), week)
	}
	fmt.Printf("Error (MAPE):      %.2f %% over the next day, %.2f %% over the next week\n",
		mape(predicted[:day], actual), mape(predicted[:week], actual))
	return nil
}

// mape returns the mean absolute percentage error.
func mape(predicted, actual []float64) float64 {
	var sum float64
	for i, p := range predicted {
		sum += math.Abs(p-actual[i]) / actual[i]
	}
	return 100 * sum / float64(len(predicted))
}

// demand reads a number of weeks of the website's data.
func demand(ctx context.Context, at addresses, weeks int) ([]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/data/demand.json?weeks=%d", at.website, weeks), nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the website's data: %s", answer.Status)
	}
	var data struct{ Series struct{ Values []float64 } }
	return data.Series.Values, json.NewDecoder(io.LimitReader(answer.Body, 16<<20)).Decode(&data)
}
