//go:build render

package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
)

const renderExample = "../../examples/render"

func init() {
	faultyBatches["render"] = faultyBatch{(*process).installRender, renderBatch, "draw/run", 3, "film.webm", true}
}

// installRender installs the programs of examples/render. The scene is also where a program that
// waits at a gate is.
func (p *process) installRender() {
	p.t.Helper()
	for _, args := range [][]string{
		{"-r", renderExample + "/programs/draw", renderExample + "/programs/film", p.setting("PROGRAMS")},
		{renderExample + "/scene.pov", filepath.Join(p.setting("PROGRAMS"), "draw")},
		{renderExample + "/scene.pov", p.folder},
	} {
		if out, err := exec.Command("cp", args...).CombinedOutput(); err != nil {
			p.t.Fatalf("%v: %s", err, out)
		}
	}
}

// renderBatch is the beginning of the animation of examples/render.
func renderBatch(id string) string {
	return fmt.Sprintf(`{"id":%q,"program":"batch","input":{"data":{"job":{"program":"draw","input":{"data":{"frame":"${frame}","frames":48}}},
		"frames":["0-8",{"number":9,"needs":[8]},"10-15"],"bundle":{"program":"film"}}}}`, id)
}
