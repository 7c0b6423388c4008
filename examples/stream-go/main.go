// Command stream-go is a stream program: it finds the station that is nearest to a place.
// It makes its table of stations once, and then answers job after job.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
)

// job is a line on standard input. Its folders are left out, since the program needs none.
type job struct {
	ID    string          `json:"id"`
	Input json.RawMessage `json:"input"`
}

// answer is a line on standard output. It has a result or an error.
type answer struct {
	ID     string   `json:"id"`
	Result any      `json:"result,omitempty"`
	Error  *failure `json:"error,omitempty"`
}

type failure struct {
	Message string `json:"message"`
	// Final means that another attempt would fail, too.
	Final bool `json:"final"`
}

type event struct {
	ID      string `json:"id"`
	Message string `json:"message"`
}

func main() {
	if err := serve(os.Stdin, os.Stdout, os.NewFile(3, "events"), newStations(50_000)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve answers the jobs on in until it is closed. An error ends the process, and the node
// starts another one.
func serve(in io.Reader, out, events io.Writer, table []station) error {
	lines, answers, told := json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out), json.NewEncoder(events)
	for {
		var j job
		if err := lines.Decode(&j); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := told.Encode(event{j.ID, fmt.Sprintf("comparing %d stations", len(table))}); err != nil {
			return err
		}
		if err := answers.Encode(run(j, table)); err != nil {
			return err
		}
	}
}

func run(j job, table []station) answer {
	var at struct{ Latitude, Longitude *float64 }
	err := json.Unmarshal(j.Input, &at)
	if err == nil && (at.Latitude == nil || at.Longitude == nil) {
		err = errors.New("latitude and longitude are wanted")
	}
	if err != nil {
		return answer{ID: j.ID, Error: &failure{Message: "bad input: " + err.Error(), Final: true}}
	}
	return answer{ID: j.ID, Result: nearest(table, *at.Latitude, *at.Longitude)}
}

// station is a place in degrees.
type station struct {
	name                string
	latitude, longitude float64
}

// newStations stands for loading a large file.
func newStations(n int) []station {
	rng := rand.New(rand.NewPCG(1, 2))
	list := make([]station, n)
	for i := range list {
		list[i] = station{fmt.Sprintf("station %d", i), rng.Float64()*180 - 90, rng.Float64()*360 - 180}
	}
	return list
}

type found struct {
	Name string  `json:"name"`
	KM   float64 `json:"km"`
}

// nearest returns the station with the smallest great-circle distance.
func nearest(table []station, latitude, longitude float64) found {
	best := found{KM: math.Inf(1)}
	for _, s := range table {
		if km := distance(s.latitude, s.longitude, latitude, longitude); km < best.KM {
			best = found{s.name, km}
		}
	}
	return best
}

// distance returns kilometres, by the haversine formula.
func distance(lat1, lon1, lat2, lon2 float64) float64 {
	const radius, degree = 6371, math.Pi / 180
	a, b := math.Sin((lat2-lat1)*degree/2), math.Sin((lon2-lon1)*degree/2)
	h := a*a + math.Cos(lat1*degree)*math.Cos(lat2*degree)*b*b
	return 2 * radius * math.Asin(math.Sqrt(min(h, 1)))
}
