package console_test

import (
	"context"
	"strings"
	"testing"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/pools"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/parts"
	"github.com/sambatech/chassis/task"
)

// An order about an execution that is not here says what the fleet has answered.
func TestAnOrderGoesToTheFleet(t *testing.T) {
	var got task.Notice
	var carried pools.Carried
	sys, d := open(t, func(sys *chassis.System) {
		chassis.Handle(sys, task.Define[greeting]("greet"), func(context.Context, task.Job[greeting]) error { return nil })
	})
	sys.Pools()[0].CarryNotices(func(_ context.Context, n task.Notice) (pools.Carried, error) {
		got = n
		return carried, nil
	})
	for _, c := range []struct {
		carried pools.Carried
		path    string
		body    string
		code    int
		says    string
	}{
		{pools.Carried{Found: 1, Members: 2}, "cancel", `"reason": "für Zoë"`, 200, `"found":1`},
		{pools.Carried{Found: 1, Members: 2}, "snooze", `"for": "10m"`, 200, `"found":1`},
		{pools.Carried{Members: 9}, "cancel", `"reason": ""`, 404, "9 other processes of the fleet do not have it"},
		{pools.Carried{Members: 8, Missing: 1}, "cancel", `"reason": ""`, 500, "1 of 9 other processes of the fleet have not answered"},
		{pools.Carried{}, "cancel", `"reason": ""`, 404, "no execution"},
	} {
		carried = c.carried
		code, text := d.do("POST", "/api/v1/executions/"+c.path, `{"exec_id": "e1", `+c.body+`}`)
		if code != c.code || !strings.Contains(text, c.says) {
			t.Errorf("%+v: %d %s", c, code, text)
		}
		if got.ExecID != "e1" || got.ID == "" || c.path == "snooze" != (got.Snooze == 600) || c.path == "cancel" != got.Keep {
			t.Errorf("%+v", got)
		}
		if strings.Contains(c.body, "Zoë") && got.Reason != "für Zoë" {
			t.Errorf("the reason is %q", got.Reason)
		}
	}
}

// fellow is a part that knows the members of a fleet, as package fleet is.
type fellow struct{ parts.Part }

func (fellow) FleetMembers(context.Context) ([]admin.FleetMember, error) {
	return []admin.FleetMember{{Name: "mailer-a", Self: true}}, nil
}

// An order that is given to all members ends in each of them: none passes it on to the others.
func TestAnOrderToAllMembersGoesNoFurther(t *testing.T) {
	sys, d := open(t, func(sys *chassis.System) {
		chassis.Handle(sys, task.Define[greeting]("greet"), func(context.Context, task.Job[greeting]) error { return nil })
		sys.Add("fellow", fellow{parts.Closer(func(context.Context) error { return nil })})
	})
	sys.Pools()[0].CarryNotices(func(context.Context, task.Notice) (pools.Carried, error) {
		t.Error("a notice goes to the other members")
		return pools.Carried{Found: 1, Members: 1}, nil
	})
	for _, order := range []string{`"executions/cancel", "body": {"exec_id": "e1"}`, `"executions/snooze", "body": {"exec_id": "e1", "for": "1m"}`} {
		code, text := d.do("POST", "/api/v1/fleet/do", `{"all": true, "order": `+order+`}`)
		if code != 200 || !strings.Contains(text, `"done":0`) || !strings.Contains(text, "no execution") {
			t.Errorf("%s: %d %s", order, code, text)
		}
	}
}
