package publisher

import (
	"fmt"
	"net/http"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// nodeVerb is what may be asked of a node.
type nodeVerb struct {
	name   string
	change func(*ledger.Control) // nil: about taking new work
	drain  bool
}

var nodeVerbs = []nodeVerb{
	{name: "pause", change: func(c *ledger.Control) { c.Paused = true }},
	{name: "resume", change: func(c *ledger.Control) { c.Paused = false }},
	{name: "drain", drain: true},
	{name: "undrain"},
}

// nodeRoutes are those of the verbs of nodes.
func (p *Publisher) nodeRoutes() []route {
	list := []route{{http.MethodPatch, "/api/v1/nodes/:name", p.patchNode, auth.Operator}}
	for _, v := range nodeVerbs {
		list = append(list, route{http.MethodPost, "/api/v1/nodes/:name/" + v.name, p.postNodeVerb(v), auth.Operator})
	}
	return list
}

// controlPart is the part of a node's tag that stands for what persons have set.
func controlPart(n api.Node) string {
	part := httpio.Version(n.Control.Updated)
	if n.Drained {
		part += "d"
	}
	return part
}

// nodeOrder is a node that somebody wants to change, as they have seen it.
type nodeOrder struct {
	node   api.Node
	expect *time.Time // nil: as it is
}

// orderOf finds the node of a request and checks its If-Match field.
func (p *Publisher) orderOf(c echo.Context) (o nodeOrder, err error) {
	name, err := httpio.NameParam(c)
	if err != nil {
		return o, err
	}
	if o.node, err = p.nodeNow(c.Request().Context(), name); err != nil {
		return o, err
	}
	wanted := httpio.IfMatch(c.Request())
	if !wanted.Holds(controlPart(o.node)) {
		return o, ledger.ErrChanged
	}
	if wanted.Specific() {
		o.expect = &o.node.Control.Updated
	}
	return o, nil
}

// patchNode changes the number of slots of a node.
func (p *Publisher) patchNode(c echo.Context) error {
	slots, reason, err := readSlots(c)
	if err != nil {
		return err
	}
	o, err := p.orderOf(c)
	if err != nil {
		return err
	}
	n, err := p.control(c, o, reason, func(c *ledger.Control) { c.Slots = slots })
	if err != nil {
		return err
	}
	return httpio.SendJSON(c, http.StatusOK, n)
}

// readSlots reads a body in which slots must be there: a number, or null for
// the node's own setting.
func readSlots(c echo.Context) (slots *int, reason string, err error) {
	var order struct {
		Slots  jsontext.Value `json:"slots"`
		Reason *string        `json:"reason"`
	}
	if err := httpio.ReadObject(c, &order); err != nil {
		return nil, "", err
	}
	const wanted = "is null or a whole number from 0 to 1024"
	if order.Slots == nil {
		return nil, "", httpio.BadMember("/slots", wanted)
	}
	if err := jsonv2.Unmarshal(order.Slots, &slots); err != nil || slots != nil && (*slots < 0 || *slots > api.MaxSlots) {
		return nil, "", httpio.BadMember("/slots", wanted)
	}
	reason, err = reasonText(order.Reason)
	return slots, reason, err
}

// postNodeVerb pauses, resumes, drains or undrains a node.
func (p *Publisher) postNodeVerb(v nodeVerb) echo.HandlerFunc {
	return func(c echo.Context) error {
		body, reason, err := readReason(c)
		if err != nil {
			return err
		}
		return p.once(c, body, func() (int, any, error) {
			o, err := p.orderOf(c)
			if err != nil {
				return 0, nil, err
			}
			if v.change != nil {
				n, err := p.control(c, o, reason, v.change)
				return http.StatusOK, n, err
			}
			n, err := p.drainNode(c, o.node.Name, reason, v.drain)
			return http.StatusOK, n, err
		})
	}
}

// readReason reads the body of a verb of a node, which may be empty.
func readReason(c echo.Context) (body []byte, reason string, err error) {
	body, err = httpio.ReadOptionalBody(c)
	if err != nil || len(body) == 0 {
		return nil, "", err
	}
	var order struct {
		Reason *string `json:"reason"`
	}
	if err := httpio.DecodeObject(body, &order); err != nil {
		return nil, "", err
	}
	reason, err = reasonText(order.Reason)
	return body, reason, err
}

func reasonText(reason *string) (string, error) {
	if reason == nil {
		return "", nil
	}
	if complaint := httpio.TextFault(*reason); complaint != "" {
		return "", httpio.BadMember("/reason", complaint)
	}
	return *reason, nil
}

// control changes what persons have set about a node, and returns it.
func (p *Publisher) control(c echo.Context, o nodeOrder, reason string, change func(*ledger.Control)) (api.Node, error) {
	if p.cfg.Control == nil {
		return api.Node{}, httpio.Problem(http.StatusForbidden, "no node can be controlled at this node")
	}
	_, err := p.cfg.Control(c.Request().Context(), o.node.Name, func(c *ledger.Control) {
		change(c)
		c.Reason = reason
	}, auth.CallerOf(c).By, o.expect)
	if err != nil {
		return api.Node{}, err
	}
	return p.nodeChanged(c, o.node.Name)
}

func (p *Publisher) drainNode(c echo.Context, name, reason string, drain bool) (n api.Node, err error) {
	if p.cfg.Drain == nil || p.cfg.Undrain == nil {
		return n, httpio.Problem(http.StatusForbidden, "nothing can be drained at this node")
	}
	ctx := c.Request().Context()
	if drain {
		err = p.cfg.Drain(ctx, name, auth.CallerOf(c).By, reason)
	} else {
		err = p.cfg.Undrain(ctx, name, auth.CallerOf(c).By)
	}
	if err != nil {
		return n, fmt.Errorf("drain %t of a node: %w", drain, err)
	}
	return p.nodeChanged(c, name)
}

// nodeChanged is a node after it was changed, under its new tag.
func (p *Publisher) nodeChanged(c echo.Context, name string) (api.Node, error) {
	n, err := p.nodeNow(c.Request().Context(), name)
	if err != nil {
		return n, err
	}
	if n.Vitals != nil {
		n.Vitals.Processes = []api.Process{} // as in a list: an answer that is kept has its bounds
	}
	body, err := httpio.Marshal(n)
	c.Response().Header().Set("ETag", httpio.TagOf(controlPart(n), body))
	return n, err
}
