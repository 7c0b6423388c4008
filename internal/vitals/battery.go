package vitals

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/runnerbean/runnerbean/api"
)

// battery is what all batteries of this machine have left together, each by its
// size; nil where there is none. Those of mice and the like do not count.
func battery(folder string) *api.Battery {
	names, _ := filepath.Glob(filepath.Join(folder, "*"))
	var charge, size float64
	b := api.Battery{Charging: true}
	for _, dir := range names {
		if text(dir, "type") != "Battery" || text(dir, "scope") == "Device" {
			continue
		}
		percent, err := strconv.ParseFloat(text(dir, "capacity"), 64)
		if err != nil {
			continue
		}
		weight := weight(dir)
		charge, size = charge+weight*min(max(percent/100, 0), 1), size+weight
		b.Charging = b.Charging && text(dir, "status") != "Discharging"
	}
	if size == 0 {
		return nil
	}
	b.Charge = charge / size
	return &b
}

// weight is how large a battery is beside others; 1 where it does not say.
func weight(dir string) float64 {
	for _, name := range []string{"energy_full", "charge_full"} {
		if n, err := strconv.ParseFloat(text(dir, name), 64); err == nil && n > 0 {
			return n
		}
	}
	return 1
}

// text is the content of a small file; empty where there is none.
func text(dir, name string) string {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	defer f.Close()
	data, _ := io.ReadAll(io.LimitReader(f, 64))
	return strings.TrimSpace(string(data))
}
