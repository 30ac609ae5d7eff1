package fleet

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/admin"
)

// FleetMembers implements admin.Fleet, for the page of the fleet.
func (f *Fleet) FleetMembers(ctx context.Context) ([]admin.FleetMember, error) {
	if !f.opened.Load() {
		return nil, errors.New("fleet: the members are not known before the start")
	}
	return actors.Ask[[]admin.FleetMember](ctx, f.sys.Actors(), f.pid, shown{})
}

// page returns the URL of this member's admin server as other members reach it: one that
// listens on all addresses is named by the member's own.
func (f *Fleet) page() string {
	own := f.sys.AdminURL()
	u, err := url.Parse(own)
	if err != nil || own == "" {
		return ""
	}
	listen, _, err := net.SplitHostPort(f.sys.Settings().Admin.Listen)
	member, _, bad := net.SplitHostPort(f.net.addr)
	if ip := net.ParseIP(listen); err == nil && bad == nil && (listen == "" || ip != nil && ip.IsUnspecified()) {
		u.Host = net.JoinHostPort(member, u.Port())
	}
	return u.String()
}

// shown returns the members as the page shows them.
func (a *agent) shown() []admin.FleetMember {
	now := a.f.now()
	var list []admin.FleetMember
	for _, m := range a.members() {
		list = append(list, shownAs(&m, ""))
	}
	var parted []admin.FleetMember
	for name, g := range a.gone {
		how := admin.MemberDead
		if g.left {
			how = admin.MemberLeft
		}
		parted = append(parted, shownAs(&Member{Name: name, Addr: g.addr, Digest: g.Digest, Age: now - g.at}, how))
	}
	slices.SortFunc(parted, func(x, y admin.FleetMember) int {
		return cmp.Or(cmp.Compare(*x.Age, *y.Age), strings.Compare(x.Name, y.Name))
	})
	return append(list, parted...)
}

func shownAs(m *Member, how string) admin.FleetMember {
	d := &m.Digest
	s := admin.FleetMember{Name: m.Name, Self: m.Self, Addr: m.Addr, Admin: d.Page, Version: d.Version, State: d.State,
		Gone: how, Uptime: float64(d.Started), Rates: d.Rates, More: d.More}
	if m.Age >= 0 {
		age := m.Age.Seconds()
		s.Age = &age
		if !m.Self {
			s.Uptime += float64(m.Age / time.Second)
		}
	}
	for _, o := range d.Open {
		s.Open = append(s.Open, admin.FleetEntry{Service: o.Service, Path: o.Entry, State: o.State})
	}
	return s
}
