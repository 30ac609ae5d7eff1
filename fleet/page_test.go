package fleet

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/settings"
)

// served returns a member that has an admin server on an address, under a token.
func served(t *testing.T, listen string, seeds ...string) (*chassis.System, *Fleet) {
	t.Helper()
	s := chassis.DefaultSettings()
	s.Admin.Listen, s.Admin.Token = listen, settings.NewSecret(aToken)
	sys, err := chassis.New("mailer", chassis.WithSettings(s), chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger())
	if err != nil {
		t.Fatal(err)
	}
	f, err := Join(sys, loopback(seeds...))
	if err != nil {
		t.Fatal(err)
	}
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, sys) })
	return sys, f
}

// TestAMemberIsAskedThroughAnother: an admin server on all addresses is reached by that of
// the member, and a member that has gone is a row that says how.
func TestAMemberIsAskedThroughAnother(t *testing.T) {
	sys, a := served(t, "127.0.0.1:0")
	other, b := served(t, "0.0.0.0:0", a.net.addr)
	row := func(name string) (m admin.FleetMember) {
		list, err := a.FleetMembers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range list {
			if one.Name == name {
				m = one
			}
		}
		return m
	}
	eventually(t, "a digest", 10*time.Second, func() bool { return row(b.Name()).Admin != "" })
	if m := row(b.Name()); !strings.HasPrefix(m.Admin, "http://127.0.0.1:") || m.State != "running" || m.Gone != "" || m.Age == nil {
		t.Errorf("%+v", m)
	}
	get := func(path string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSuffix(sys.AdminURL(), "/")+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+aToken)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	code, body := get("/api/v1/fleet/" + b.Name() + "/state")
	var state admin.State
	if err := json.Unmarshal([]byte(body), &state); err != nil || code != http.StatusOK || state.Service.Name != "mailer" {
		t.Errorf("%d %s: %v", code, body, err)
	}
	a.post(left{"nosferatu"}) // never was a member
	stop(t, other)
	eventually(t, "left", 10*time.Second, func() bool { return row(b.Name()).Gone == admin.MemberLeft })
	if code, body := get("/api/v1/fleet/" + b.Name() + "/state"); code != http.StatusNotFound || !strings.Contains(body, "left") {
		t.Errorf("one that has gone: %d %s", code, body)
	}

	// One that never said that it leaves is dead.
	_, c := served(t, "127.0.0.1:0", a.net.addr)
	eventually(t, "a digest", 10*time.Second, func() bool { return row(c.Name()).State == "running" })
	a.post(left{c.Name()}) // what memberlist says once it has found out
	eventually(t, "dead", 10*time.Second, func() bool { return row(c.Name()).Gone == admin.MemberDead })
	a.post(joined{c.Name(), c.net.list.LocalNode()})
	eventually(t, "back", 10*time.Second, func() bool { return row(c.Name()).Gone == "" })
}
