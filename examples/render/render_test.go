//go:build render

// Package render tests the example: it renders the animation and plays the film in a browser.
package render

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/browsertest"
)

// TestFilm runs "make demo-render" on ports of its own, and looks at the page of the film.
func TestFilm(t *testing.T) {
	page := render(t)
	tab := browsertest.NewTab(t, browsertest.Start(t))
	tab.Open(page)
	tab.Until(`document.querySelector('video')?.readyState > 0`)
	type film struct {
		Width, Height int
		Seconds       float64
	}
	got := browsertest.Evaluate[film](tab, `((v) => ({Width: v.videoWidth, Height: v.videoHeight, Seconds: v.duration}))(document.querySelector('video'))`)
	if got != (film{640, 360, 2}) {
		t.Errorf("the film is %+v", got)
	}
	browsertest.Evaluate[any](tab, `document.querySelector('video').play().then(() => { window.plays = true; }), null`)
	tab.Until(`window.plays && document.querySelector('video').currentTime > 0`)
	tab.CheckLook("film")
	tab.Open(strings.TrimSuffix(page, "/bundle"))
	tab.Until(`[...document.querySelectorAll('.frames img, img')].filter((i) => i.naturalWidth === 640).length > 5`)
	tab.CheckLook("film-frames")
}

// render runs the demo until the test ends, and returns the URL of the film.
func render(t *testing.T) string {
	t.Helper()
	programs := filepath.Join(t.TempDir(), "programs")
	for _, args := range [][]string{{"-r", "programs", programs}, {"scene.pov", filepath.Join(programs, "draw")}} {
		if out, err := exec.Command("cp", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	var ports [2]string
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = listener.Addr().String()
		listener.Close()
	}
	demo := exec.Command("../batch-demo.sh", "../../bin/runnerbean", "render", programs, "batch.json")
	demo.Env = append(os.Environ(), "DEMO_LISTEN="+ports[0], "DEMO_BEANSTALKD="+ports[1], "DEMO_DATA="+t.TempDir())
	demo.Stderr = os.Stderr
	out, err := demo.StdoutPipe()
	if err == nil {
		err = demo.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = demo.Process.Signal(syscall.SIGTERM); _ = demo.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "The bundle:"); ok {
			logTimes(t, "http://"+ports[0], strings.TrimSpace(url))
			return strings.TrimSpace(url)
		}
	}
	t.Fatal("the demo printed no URL")
	return ""
}

// logTimes logs how long the frames took together, and the batch.
func logTimes(t *testing.T, node, bundle string) {
	t.Helper()
	id := filepath.Base(strings.TrimSuffix(bundle, "/bundle"))
	answer, err := http.Get(node + "/api/v1/jobs/" + id + "/frames?limit=100")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var frames api.Frames
	if err := json.NewDecoder(answer.Body).Decode(&frames); err != nil || len(frames.Frames) != 48 {
		t.Fatalf("%v: %d frames", err, len(frames.Frames))
	}
	var sum float64
	var first, last time.Time
	for _, f := range frames.Frames {
		sum += f.Finished.Sub(f.Started).Seconds()
		if first.IsZero() || f.Started.Before(first) {
			first = f.Started
		}
		if f.Finished.After(last) {
			last = f.Finished
		}
	}
	t.Logf("48 frames ran %.1f s together, and took %.1f s with two slots: %.2f of half the sum", sum, last.Sub(first).Seconds(), 2*last.Sub(first).Seconds()/sum)
}
