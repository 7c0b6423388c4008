package main

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Times in half hours.
const (
	day     = 48
	week    = 7 * day
	most    = 4 * week // the longest forecast
	history = 8        // weeks of history for a forecast by default
)

//go:embed england-wales-demand-2000.csv
var demandCSV []byte

// series is a time series as the program forecast reads and writes it.
type series struct {
	Start    time.Time `json:"start"`
	Interval int       `json:"interval_s"`
	Unit     string    `json:"unit"`
	Values   []int     `json:"values"`
}

// input is the document that the program forecast reads.
type input struct {
	Series  series `json:"series"`
	Seasons []int  `json:"seasons"`
	Horizon int    `json:"horizon"`
}

// readDemand reads the embedded table: a line of names, then lines with a time and
// megawatts, at equal distances.
func readDemand(text []byte) (series, error) {
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return series{}, err
	}
	if len(rows) < 1+12*week {
		return series{}, fmt.Errorf("demand: %d lines are not twelve weeks", len(rows))
	}
	s := series{Interval: 24 * 3600 / day, Unit: "MW"}
	for i, row := range rows[1:] {
		at, err := time.Parse(time.RFC3339, row[0])
		if err != nil {
			return s, err
		}
		if i == 0 {
			s.Start = at
		}
		if !at.Equal(s.at(i)) {
			return s, fmt.Errorf("demand: line %d is of %s, want %s", i+2, row[0], s.at(i).Format(time.RFC3339))
		}
		value, err := strconv.Atoi(row[1])
		if err != nil {
			return s, err
		}
		s.Values = append(s.Values, value)
	}
	return s, nil
}

// at returns the time of value i.
func (s series) at(i int) time.Time {
	return s.Start.Add(time.Duration(i*s.Interval) * time.Second)
}

// from and upTo return the series from value i on and before value i.
func (s series) from(i int) series {
	s.Start, s.Values = s.at(i), s.Values[i:]
	return s
}

func (s series) upTo(i int) series {
	s.Values = s.Values[:i]
	return s
}

// inputOf returns the input document for a forecast of horizon half hours from a number
// of weeks. The same arguments give the same bytes, so a job can name their digest.
func (s series) inputOf(weeks, horizon int) ([]byte, error) {
	return json.Marshal(input{Series: s.upTo(weeks * week), Seasons: []int{day, week}, Horizon: horizon})
}
