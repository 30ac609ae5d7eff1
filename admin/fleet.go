package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/internal/clip"
)

// Fleet knows the other processes of the service. Package fleet, a module of its own,
// implements it: package console looks for it among the parts of the service.
type Fleet interface {
	// FleetMembers returns the members, this one first, and those that have gone lately.
	FleetMembers(ctx context.Context) ([]FleetMember, error)
}

// FleetMember is one process of the service, as this one has heard of it last.
type FleetMember struct {
	Name    string             `json:"name"`
	Self    bool               `json:"self,omitempty"`
	Addr    string             `json:"addr"`              // ip:port of the fleet's own traffic
	Admin   string             `json:"admin,omitempty"`   // URL of its admin server; empty: none that others reach
	Version string             `json:"version,omitempty"` // of the service
	State   string             `json:"state,omitempty"`   // as [Info.State]; empty: it has said nothing yet
	Gone    string             `json:"gone,omitempty"`    // left or dead; empty: it is a member
	Uptime  float64            `json:"uptime_seconds"`
	Age     *float64           `json:"age_seconds"` // of its last word; null: there was none
	Rates   map[string]float64 `json:"rates,omitempty"`
	Open    []FleetEntry       `json:"open,omitempty"` // breaker entries that are not closed
	More    int                `json:"more,omitempty"` // how many more there are
}

// The values of [FleetMember.Gone].
const (
	MemberLeft = "left" // it was stopped
	MemberDead = "dead" // it answers no more
)

// FleetEntry is a breaker entry of a member that is not closed.
type FleetEntry struct {
	Service string        `json:"service"`
	Path    string        `json:"path"`
	State   breaker.State `json:"state"`
}

// FleetPage is the answer of /api/v1/fleet.
type FleetPage struct {
	List []FleetMember `json:"list"`
	More int           `json:"more,omitempty"` // that are left out
}

// FleetAnswers is the answer of /api/v1/fleet/do: one for each member that was asked.
type FleetAnswers struct {
	Done int           `json:"done"` // members that have done it
	List []FleetAnswer `json:"list"`
}

// FleetAnswer is what became of an order in one member.
type FleetAnswer struct {
	Member string          `json:"member"`
	Status int             `json:"status,omitempty"` // of HTTP; 0: there was no answer
	Answer json.RawMessage `json:"answer,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// Bounds of what is asked of other members.
const (
	maxShownMembers = 1000
	lookTime        = 3 * time.Second  // for a look at one member
	orderTime       = 5 * time.Second  // for an order to one member
	ordersTime      = 60 * time.Second // for an order to all
	ordersAtOnce    = 32
	maxDone         = 4 << 10 // bytes of a member's answer to an order
)

// looks are what others may see of a member through this one, and orders what they may
// have it do. All else is the same for all members, as dead letters and schedules are, or
// no business of others.
var (
	looks  = []string{"state", "executions", "breakers", "transitions", "schedules", "log", "settings"}
	orders = []string{"tasks/pause", "tasks/resume", "executions/cancel", "executions/snooze", "breakers/force",
		"breakers/reset", "log/level"}
)

// errMember is an answer of another member that is no use.
var errMember = errors.New("another member")

func (s *Server) fleetMembers(ctx context.Context) ([]FleetMember, error) {
	ctx, cancel := context.WithTimeout(ctx, stateTimeout)
	defer cancel()
	list, err := s.cfg.Fleet.FleetMembers(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the members of the fleet: %w", err)
	}
	return list, nil
}

func (s *Server) getFleet(r *http.Request) (any, error) {
	list, err := s.fleetMembers(r.Context())
	if err != nil {
		return nil, err
	}
	list, more := first(list, maxShownMembers)
	page := FleetPage{List: make([]FleetMember, len(list)), More: more}
	for i, m := range list {
		page.List[i] = m.bounded()
	}
	return page, nil
}

// bounded returns the member as it is shown: what it says of itself is a stranger's text.
func (m FleetMember) bounded() FleetMember {
	m.Name, m.Addr, m.Admin = clip.ID(m.Name), clip.ID(m.Addr), clip.ID(m.Admin)
	m.Version, m.State = clip.ID(m.Version), clip.ID(m.State)
	if m.Rates != nil {
		rates := make(map[string]float64, len(m.Rates))
		for name, rate := range m.Rates {
			rates[clip.ID(name)] = rate
		}
		m.Rates = rates
	}
	open, more := first(m.Open, maxEntries)
	m.Open, m.More = slices.Clone(open), m.More+more
	for i := range m.Open {
		m.Open[i].Service, m.Open[i].Path = clip.ID(m.Open[i].Service), clip.ID(m.Open[i].Path)
	}
	return m
}

// getMember returns what another member answers to a GET.
func (s *Server) getMember(r *http.Request) (any, error) {
	part := r.PathValue("part")
	if !slices.Contains(looks, part) {
		return nil, fmt.Errorf("%w: %s of a member is not shown through another: want one of %s", ErrNotFound,
			quote(part), strings.Join(looks, ", "))
	}
	list, err := s.fleetMembers(r.Context())
	if err != nil {
		return nil, err
	}
	chosen, err := choose(list, []string{r.PathValue("member")}, false)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.relay.lookTime)
	defer cancel()
	path := "/api/v1/" + part
	if r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	status, answer, err := s.relay.ask(ctx, &chosen[0], http.MethodGet, path, nil, relayed(r, list))
	if err == nil && status != http.StatusOK {
		err = ofStatus(status, detailOf(status, answer))
	}
	return answer, err
}

// ofStatus is an error of a member as one of this server.
func ofStatus(status int, detail string) error {
	switch status {
	case http.StatusBadRequest:
		return fmt.Errorf("%w: %s", ErrInvalid, detail)
	case http.StatusNotFound:
		return fmt.Errorf("%w: %s", ErrNotFound, detail)
	case http.StatusConflict:
		return fmt.Errorf("%w: %s", ErrNotNow, detail)
	}
	return fmt.Errorf("%w answered %d: %s", errMember, status, detail)
}

// detailOf returns what a member says is wrong.
func detailOf(status int, answer []byte) string {
	var p Problem
	if json.Unmarshal(answer, &p) != nil || p.Detail == "" {
		p.Detail = http.StatusText(status)
	}
	return clip.Line(p.Detail, clip.Text)
}

// choose returns the members of these names, or all that are there.
func choose(list []FleetMember, names []string, all bool) (chosen []FleetMember, err error) {
	if all {
		return slices.DeleteFunc(slices.Clone(list), func(m FleetMember) bool { return m.Gone != "" }), nil
	}
	for _, name := range names {
		i := slices.IndexFunc(list, func(m FleetMember) bool {
			return m.Name == name || clip.IsCut(name) && clip.ID(m.Name) == name
		})
		switch {
		case i < 0:
			return nil, fmt.Errorf("%w: the fleet has no member %s", ErrNotFound, quote(name))
		case list[i].Gone != "":
			return nil, fmt.Errorf("%w: the member %s is gone (%s)", ErrNotFound, quote(name), list[i].Gone)
		}
		chosen = append(chosen, list[i])
	}
	return chosen, nil
}

// fleetCommand is an order to some members, or to all.
type fleetCommand struct {
	Order   string          `json:"order"` // path of a command, without /api/v1/
	Body    json.RawMessage `json:"body"`  // of that command
	Members []string        `json:"members,omitempty"`
	All     bool            `json:"all,omitempty"`
}

func (c fleetCommand) check() error {
	switch {
	case !slices.Contains(orders, c.Order):
		return fmt.Errorf("%w: order is %s: want one of %s", ErrInvalid, quote(c.Order), strings.Join(orders, ", "))
	case len(c.Body) == 0:
		return fmt.Errorf("%w: body is missing: the JSON object of the command %s", ErrInvalid, c.Order)
	case c.All == (len(c.Members) > 0):
		return fmt.Errorf("%w: want members, a list of names, or all: true", ErrInvalid)
	case len(c.Members) > maxShownMembers:
		return fmt.Errorf("%w: %d members: at most %d", ErrInvalid, len(c.Members), maxShownMembers)
	}
	return nil
}

// doFleet gives members an order, several at once, and returns what each has answered.
func (s *Server) doFleet(r *http.Request, c fleetCommand) (any, error) {
	actOf(r).touched = 0
	list, err := s.fleetMembers(r.Context())
	if err != nil {
		return nil, err
	}
	chosen, err := choose(list, c.Members, c.All)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), ordersTime)
	defer cancel()
	answers := FleetAnswers{List: make([]FleetAnswer, len(chosen))}
	free, by := make(chan struct{}, ordersAtOnce), relayed(r, list)
	var asked sync.WaitGroup
	for i := range chosen {
		free <- struct{}{}
		asked.Go(func() {
			defer func() { <-free }()
			answers.List[i] = s.order(ctx, &chosen[i], c, by)
		})
	}
	asked.Wait()
	for _, a := range answers.List {
		if a.Error == "" {
			answers.Done++
		}
	}
	actOf(r).touched = answers.Done
	return answers, nil
}

// order gives one member an order.
func (s *Server) order(ctx context.Context, m *FleetMember, c fleetCommand, by origin) FleetAnswer {
	ctx, cancel := context.WithTimeout(ctx, s.relay.orderTime)
	defer cancel()
	a := FleetAnswer{Member: clip.ID(m.Name)}
	status, answer, err := s.relay.ask(ctx, m, http.MethodPost, "/api/v1/"+c.Order, c.Body, by)
	switch a.Status = status; {
	case err != nil:
		a.Error = clip.Line(err.Error(), clip.Text)
	case status != http.StatusOK:
		a.Error = detailOf(status, answer)
	default:
		a.Answer = answer
	}
	return a
}
