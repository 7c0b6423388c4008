package main

import (
	"fmt"
	"path"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/internal/browsertest"
)

// visitor is a browser on the pages of a node.
type visitor struct {
	*browsertest.Tab
	node *process
}

// at opens the page of a job, given by its result URL.
func (v visitor) at(url string) {
	v.Do(chromedp.Navigate(v.node.url + "/jobs/" + path.Base(url)))
}

// sees waits until the page says that the job is in a state.
func (v visitor) sees(state string) {
	v.Until(fmt.Sprintf(`document.querySelector('#hero .state')?.textContent === %q`, state))
}

// press clicks a button as soon as the page has it.
func (v visitor) press(selector string) {
	v.Until(fmt.Sprintf(`(() => { const el = document.querySelector(%q); el?.click(); return el; })()`, selector))
}

// does presses a button of a job. Where the page asks, it also presses the button that
// confirms; asked is the question.
func (v visitor) does(verb, asked string) {
	v.press(`.verbs button[value=` + verb + `]`)
	if asked != "" {
		v.Until(fmt.Sprintf(`document.querySelector('.ask h1')?.textContent === %q`, asked))
		v.press(`.ask form button`)
	}
}

// TestEveryActionOfThePagesOnARealNode presses every button for jobs.
func TestEveryActionOfThePagesOnARealNode(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	v := visitor{browsertest.NewTab(t, browsertest.Start(t)), p}
	one, two := p.submit("hangs", "1"), p.submit("hangs", "2")
	v.at(one)
	v.sees("running")
	v.Until(`document.querySelector('#progress')?.value === 0.5 && document.querySelector('.message')?.textContent === 'holding on'`)
	v.Until(`document.querySelector('#processes')?.textContent.includes('sleep')`)

	v.at(two)
	v.sees("running")
	three := p.submit("hangs", "3")
	v.at(three)
	v.sees("queued")
	v.Until(`document.querySelector('#why')?.textContent.startsWith('All 2 slots of n1 are busy')`)
	v.does("cancel", "Cancel this job?")
	v.sees("cancelled")

	v.at(one) // hangs: it starts over and ends
	v.does("reset", "Restart this job?")
	v.sees("succeeded")
	v.Until(`document.querySelectorAll('.tries tbody tr').length >= 2`)
	v.at(three)
	v.does("retry", "")
	v.sees("running")
	v.at(two)
	v.does("cancel", "Cancel this job?")
	v.sees("cancelled")
	v.at(three)
	v.sees("running")
	v.does("terminate", "Terminate this job?")
	v.sees("cancelled")

	four := p.submit("refuses", "4")
	v.at(four)
	v.sees("failed")
	v.Until(`document.querySelector('#log')?.textContent === 'no such meter'`)
	v.does("retry", "")
	v.Until(`document.querySelector('#hero .verdict')?.textContent.includes('at attempt 2')`)
	v.does("rerun", "")
	v.Until(fmt.Sprintf(`location.pathname.startsWith('/jobs/') && !location.pathname.endsWith(%q)`, path.Base(four)))
	v.sees("failed")
	v.Until(fmt.Sprintf(`document.querySelector('a[href="/jobs/%s"]')`, path.Base(four)))

	manyAtOnce(v)
	v.CheckComplaints()
}

// manyAtOnce searches jobs, selects them and terminates them.
func manyAtOnce(v visitor) {
	var urls []string
	for range 4 {
		urls = append(urls, v.node.submit("hangs", `"many"`))
	}
	v.Do(chromedp.Navigate(v.node.url + "/jobs?state=running&program=hangs"))
	v.Until(`document.querySelectorAll('.joblist tbody tr').length === 2`)
	v.Do(chromedp.Navigate(v.node.url + "/jobs?program=hangs"))
	v.press(`#tick:not([hidden])`)
	v.press(`button[value=terminate]`)
	v.Until(`document.querySelector('h1')?.textContent === '4 jobs will be terminated.' && document.body.innerText.includes('2 running are killed at once.')`)
	v.press(`.ask form button`)
	v.Until(`document.querySelector('h1')?.textContent === '4 jobs terminated.'`)
	for _, url := range urls {
		v.node.final(url)
	}
}
