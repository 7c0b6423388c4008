package publisher

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// maxNamed bounds how many nodes an answer names.
const maxNamed = 20

// getDrain says what takes no work, and why.
func (p *Publisher) getDrain(c echo.Context) error {
	drains, err := p.drains(c.Request().Context())
	if err != nil {
		return err
	}
	return httpio.SendJSON(c, http.StatusOK, drains)
}

func (p *Publisher) drains(ctx context.Context) (api.Drains, error) {
	drains := api.Drains{Nodes: []api.Drain{}}
	found, err := p.cfg.Ledger.Drains(ctx)
	for _, d := range found {
		drain := api.Drain{Node: d.Node, Since: d.Since, By: d.By, Reason: d.Reason}
		if d.Node == "" {
			drains.Queue = &drain
		} else {
			drains.Nodes = append(drains.Nodes, drain)
		}
	}
	return drains, err
}

// postDrain takes a node, or the queue, out of work.
func (p *Publisher) postDrain(c echo.Context) error {
	if p.cfg.Drain == nil {
		return httpio.Problem(http.StatusForbidden, "nothing can be drained at this node")
	}
	var order struct {
		Node   *string `json:"node"` // nil is an oversight, not the queue
		Reason string  `json:"reason"`
	}
	body, err := httpio.ReadBody(c, httpio.MaxSmallBody)
	if err != nil {
		return err
	}
	if err := httpio.DecodeObject(body, &order); err != nil {
		return err
	}
	if order.Node == nil {
		return httpio.Problem(http.StatusUnprocessableEntity, `say which "node" to drain; "node": "" is the whole queue`)
	}
	if order.Reason != "" && httpio.TextFault(order.Reason) != "" {
		return httpio.BadMember("/reason", httpio.TextFault(order.Reason))
	}
	return p.once(c, body, func() (int, any, error) {
		ctx := c.Request().Context()
		if err := p.knownNode(ctx, *order.Node); err != nil {
			return 0, nil, err
		}
		if err := p.cfg.Drain(ctx, *order.Node, auth.CallerOf(c).By, order.Reason); err != nil {
			return 0, nil, err
		}
		drain := api.Drain{Node: *order.Node, Since: time.Now().UTC(), By: auth.CallerOf(c).By, Reason: order.Reason}
		known := api.Drains{Nodes: []api.Drain{drain}}
		if drain.Node == "" {
			known = api.Drains{Queue: &drain, Nodes: []api.Drain{}}
		}
		return http.StatusOK, p.drainsNow(ctx, known), nil
	})
}

// knownNode refuses a name that no node has had: a slip would wait for ever.
func (p *Publisher) knownNode(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	if complaint := httpio.TextFault(name); complaint != "" {
		return httpio.BadMember("/node", complaint)
	}
	nodes, err := p.cfg.Ledger.Nodes(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(nodes, func(n ledger.Node) bool { return n.Name == name }) {
		return nil
	}
	detail := fmt.Sprintf("no node is named %q; %s", httpio.Shorten(name), known(nodes))
	return &jobs.Problem{Status: http.StatusNotFound, Title: "Not Found", Detail: detail, Pointer: "/node"}
}

// known names nodes, each once.
func known(nodes []ledger.Node) string {
	var names []string
	for _, n := range nodes {
		if !slices.Contains(names, n.Name) && len(names) < maxNamed {
			names = append(names, n.Name)
		}
	}
	if len(names) == 0 {
		return "none is known"
	}
	return "known are " + strings.Join(names, ", ")
}

// deleteDrain lets a node, or the queue, take work again.
func (p *Publisher) deleteDrain(c echo.Context) error {
	if p.cfg.Undrain == nil {
		return httpio.Problem(http.StatusForbidden, "nothing can be drained at this node")
	}
	node, err := drainQuery(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	before, err := p.drains(ctx)
	if err != nil {
		return err
	}
	if !drained(before, node) {
		return httpio.Problem(http.StatusNotFound, drainSubject(node)+" is not drained: there is nothing to undo")
	}
	if err := p.cfg.Undrain(ctx, node, auth.CallerOf(c).By); err != nil {
		return err
	}
	if node == "" {
		before.Queue = nil
	}
	before.Nodes = slices.DeleteFunc(before.Nodes, func(d api.Drain) bool { return node != "" && d.Node == node })
	return httpio.SendJSON(c, http.StatusOK, p.drainsNow(ctx, before))
}

// drainsNow is what is drained after an order that the ledger has taken in: as it
// says, or as far as is known where it cannot be asked. The order has not failed.
func (p *Publisher) drainsNow(ctx context.Context, known api.Drains) api.Drains {
	drains, err := p.drains(ctx)
	if err != nil {
		p.log.Warn("what is drained cannot be read after it was changed", "err", err)
		return known
	}
	return drains
}

// drainQuery is the query parameter node, which must be there.
func drainQuery(c echo.Context) (string, error) {
	query := c.QueryParams()
	for name := range query {
		if name != "node" {
			return "", httpio.BadParameter(name, "is not known here; node is")
		}
	}
	switch values, ok := query["node"]; {
	case !ok:
		return "", httpio.Problem(http.StatusBadRequest, "say what takes work again: ?node=NAME, or ?node= for the whole queue")
	case len(values) != 1:
		return "", httpio.BadParameter("node", "is given more than once")
	case values[0] != "" && httpio.TextFault(values[0]) != "":
		return "", httpio.BadParameter("node", httpio.TextFault(values[0]))
	default:
		return values[0], nil
	}
}

func drained(d api.Drains, node string) bool {
	if node == "" {
		return d.Queue != nil
	}
	return slices.ContainsFunc(d.Nodes, func(d api.Drain) bool { return d.Node == node })
}

func drainSubject(node string) string {
	if node == "" {
		return "the queue"
	}
	return fmt.Sprintf("the node %q", httpio.Shorten(node))
}
