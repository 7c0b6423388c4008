package chart

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/text"
)

// tick is one label of an axis, at a value or at a second since 1970. Labels of
// rank 0 are always shown, those of rank 1 not on phones, and those of rank 2 only
// on wide screens.
type tick struct {
	at    float64
	label string
	rank  int
}

// scale is the vertical axis. Its range begins and ends at a tick.
type scale struct {
	lo, hi, step float64
}

// newScale returns a scale that holds lo and hi, with about five ticks at 1, 2 or 5
// times a power of ten. It begins at zero where that needs little more room.
func newScale(lo, hi float64) scale {
	if lo > 0 && lo < hi/3 {
		lo = 0
	}
	if hi-lo <= 1e-9*max(math.Abs(lo), math.Abs(hi)) {
		pad := max(math.Abs(lo)/10, 1e-9)
		if lo == 0 {
			pad = 1
		}
		lo, hi = lo-pad, hi+pad
	}
	step := niceStep((hi - lo) / 5)
	return scale{math.Floor(lo/step) * step, math.Ceil(hi/step) * step, step}
}

// niceStep returns the nearest 1, 2, 5 or 10 times a power of ten.
func niceStep(raw float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	switch m := raw / power; {
	case m < 1.5:
		return power
	case m < 3:
		return 2 * power
	case m < 7:
		return 5 * power
	}
	return 10 * power
}

// gutter returns the width of the widest label in characters.
func gutter(ticks []tick) (width int) {
	for _, t := range ticks {
		width = max(width, len([]rune(t.label)))
	}
	return width
}

func (s scale) ticks() []tick {
	n := int(math.Round((s.hi - s.lo) / s.step))
	list := make([]tick, 0, 12)
	for i := 0; i <= min(n, 11); i++ {
		v := s.lo + float64(i)*s.step
		list = append(list, tick{at: v, label: s.format(v, 0)})
	}
	return list
}

// format writes v with the decimals that the step needs, and as many more.
func (s scale) format(v float64, more int) string {
	digits := more - int(math.Floor(math.Log10(s.step)))
	if largest := max(math.Abs(s.lo), math.Abs(s.hi)); largest >= 1e9 || s.step < 1e-5 {
		n := int(math.Floor(math.Log10(largest))) + digits
		return text.Minus(powers(v, min(max(n, 0), 12)))
	}
	return text.Minus(text.Thousands(strconv.FormatFloat(v, 'f', max(digits, 0), 64)))
}

// powers writes v with an exponent, such as 1.2e9, and at most the given number of
// decimals.
func powers(v float64, decimals int) string {
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'e', decimals, 64), "e")
	if strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	n, err := strconv.Atoi(exponent)
	if err != nil || v == 0 {
		return "0"
	}
	return mantissa + "e" + strconv.Itoa(n)
}

// timeSteps are the steps of a time axis in seconds, up to two weeks.
var timeSteps = []float64{
	1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600,
	2 * 3600, 3 * 3600, 6 * 3600, 12 * 3600, day, 2 * day, 7 * day, 14 * day,
}

const (
	day = 86400.0
	// maxTimeTicks is how many labels a time axis has at most.
	maxTimeTicks = 9
	// monday is Monday 5 January 1970, so that weeks begin on Mondays.
	monday = 4 * day
)

// timeTicks returns the labels from a to b (seconds since 1970), in a time zone that
// is offset seconds ahead of UTC.
func timeTicks(a, b float64, offset int) []tick {
	list := monthTicks(a, b, offset)
	for _, step := range timeSteps {
		if (b-a)/step <= maxTimeTicks {
			list = clockTicks(a+float64(offset), b+float64(offset), step)
			break
		}
	}
	for i := range list {
		list[i].at -= float64(offset)
	}
	return list
}

// clockTicks returns a tick at every multiple of step. a and b are local times.
func clockTicks(a, b, step float64) []tick {
	origin := 0.0
	if step >= 7*day {
		origin = monday
	}
	var list []tick
	for k := math.Ceil((a - origin) / step); k*step+origin <= b; k++ {
		at := k*step + origin
		list = append(list, tick{at, clockLabel(at, step), rank(int(k))})
	}
	return list
}

func clockLabel(at, step float64) string {
	t := time.Unix(int64(at), 0).UTC()
	switch {
	case step < 60:
		return t.Format("15:04:05")
	case step < day && math.Mod(at, day) == 0, step == day:
		return t.Format("Mon 2")
	case step < day:
		return t.Format("15:04")
	}
	return t.Format("2 Jan")
}

// monthTicks returns a tick every few months or years.
func monthTicks(a, b float64, offset int) []tick {
	months := 1
	for _, months = range []int{1, 2, 3, 6} {
		if (b-a)/(30*day) <= float64(months*maxTimeTicks) {
			break
		}
	}
	layout := "Jan 2006"
	if years := (b - a) / (365 * day); years > maxTimeTicks/2 {
		months, layout = 12*max(1, int(niceStep(years/maxTimeTicks*1.4))), "2006"
	}
	first := time.Unix(int64(a)+int64(offset), 0).UTC()
	var list []tick
	for k := (first.Year()*12 + int(first.Month()) - 1) / months; len(list) <= 2*maxTimeTicks; k++ {
		t := time.Date(0, time.Month(k*months+1), 1, 0, 0, 0, 0, time.UTC)
		at := float64(t.Unix())
		if at > b+float64(offset) {
			break
		}
		if at >= a+float64(offset) {
			list = append(list, tick{at, t.Format(layout), rank(k)})
		}
	}
	return list
}

// rank returns the rank of the tick at k steps.
func rank(k int) int {
	switch {
	case k%4 == 0:
		return 0
	case k%2 == 0:
		return 1
	}
	return 2
}

// moment writes a time in full, with seconds where they are not zero.
func moment(at float64, offset int) string {
	t := time.Unix(int64(math.Floor(at)), 0).UTC().Add(time.Duration(offset) * time.Second)
	if t.Second() != 0 {
		return t.Format("Mon 2 Jan 2006, 15:04:05")
	}
	return t.Format("Mon 2 Jan 2006, 15:04")
}

func zoneName(offset int) string {
	if offset == 0 {
		return "UTC"
	}
	return "UTC" + time.Unix(0, 0).In(time.FixedZone("", offset)).Format("-07:00")
}
