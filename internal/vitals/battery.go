package vitals

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/runnerbean/runnerbean/api"
)

// battery returns the charge of all batteries of this machine, weighted by their size.
// It returns nil if the machine has none. Batteries of devices such as mice do not
// count.
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

// weight returns the capacity of a battery, or 1 if the battery does not report it.
func weight(dir string) float64 {
	for _, name := range []string{"energy_full", "charge_full"} {
		if n, err := strconv.ParseFloat(text(dir, name), 64); err == nil && n > 0 {
			return n
		}
	}
	return 1
}

// text returns the first 64 bytes of a file without surrounding space, or "" if the
// file cannot be read.
func text(dir, name string) string {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	defer f.Close()
	data, _ := io.ReadAll(io.LimitReader(f, 64))
	return strings.TrimSpace(string(data))
}
