package admin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/settings"
)

// plantFleet is the members that a server knows.
type plantFleet struct {
	list []FleetMember
	err  error
}

func (p plantFleet) FleetMembers(context.Context) ([]FleetMember, error) { return p.list, p.err }

const secondToken = "fedcba9876543210fedcba9876543210"

// crew are three servers of one service that know each other, and the tokens of them all.
type crew struct {
	plants  []*plant
	servers []*Server
	audits  []*bytes.Buffer
	list    []FleetMember
}

func newCrew(t *testing.T, n int, set Settings, more ...FleetMember) *crew {
	t.Helper()
	c := &crew{}
	var fleets []*plantFleet
	for i := range n {
		p, audit, f := newPlant(), &bytes.Buffer{}, &plantFleet{}
		set.Listen = "127.0.0.1:0"
		cfg := p.config(set)
		cfg.Fleet, cfg.Audit = f, slog.New(slog.NewJSONHandler(audit, nil))
		srv := made(t, cfg)
		if err := srv.Listen(); err != nil {
			t.Fatal(err)
		}
		srv.relay.lookTime, srv.relay.orderTime = 20*time.Second, 20*time.Second // a busy machine's handshakes take their time
		c.plants, c.servers, c.audits, fleets = append(c.plants, p), append(c.servers, srv), append(c.audits, audit), append(fleets, f)
		c.list = append(c.list, FleetMember{Name: fmt.Sprintf("mailer-%d", i), Addr: "127.0.0.1:7946", Admin: srv.URL(),
			State: StateRunning, Age: new(0.5)})
	}
	c.list = append(c.list, more...)
	for i, f := range fleets {
		f.list = append([]FleetMember(nil), c.list...)
		f.list[i].Self = true
	}
	return c
}

// soonTired are the servers that wait for a member that hangs, in a test that has one.
func (c *crew) soonTired() {
	for _, srv := range c.servers {
		srv.relay.lookTime, srv.relay.orderTime = time.Second, time.Second
	}
}

func bearer(token string) string { return "Authorization: Bearer " + token }

func answersOf(t *testing.T, w *httptest.ResponseRecorder) FleetAnswers {
	t.Helper()
	var a FleetAnswers
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return a
}

// TestAnOrderReachesEveryMember: each answers, and those that are dead, hung, gone or no
// service of ours are rows that say so.
func TestAnOrderReachesEveryMember(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	hung, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
	}))
	defer other.Close()
	at := func(name, url string) FleetMember {
		return FleetMember{Name: name, Addr: "127.0.0.1:7946", Admin: url}
	}
	set := Settings{Token: settings.NewSecret(goodToken), Tokens: map[string]Token{"rob": {settings.NewSecret(secondToken), ScopeRead}}}
	long := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`"` + strings.Repeat("x", maxDone) + `"`))
	}))
	defer long.Close()
	c := newCrew(t, 3, set, at("dead", "http://"+dead.Addr().String()+"/"), at("hung", "http://"+hung.Addr().String()+"/"),
		at("other", other.URL), at("long", long.URL), at("none", ""),
		FleetMember{Name: "far", Addr: "10.0.0.7:7946", Admin: "http://127.0.0.1:9190/"}, // elsewhere than it says
		FleetMember{Name: "gone", Addr: "127.0.0.1:7946", Gone: MemberDead, Admin: c0})
	c.soonTired()
	w := ask(c.servers[0], "POST", "/api/v1/fleet/do", `{"order":"tasks/pause","body":{"task":"welcome"},"all":true}`, bearer(goodToken))
	got := answersOf(t, w)
	if got.Done != 3 || len(got.List) != 9 {
		t.Fatalf("%d have done it, %d answers: %+v", got.Done, len(got.List), got.List)
	}
	for i, want := range []string{"", "", "", "refused", "no answer in time", "no JSON", "is longer", "no admin server", "is a member from"} {
		a := got.List[i]
		if a.Member != c.memberAt(i) || want == "" && (a.Status != 200 || a.Error != "" || string(a.Answer) != `{"task":"welcome"}`) ||
			want != "" && (!strings.Contains(a.Error, want) || a.Answer != nil) {
			t.Errorf("answer %d: %+v, want %q", i, a, want)
		}
	}
	for i, p := range c.plants {
		if d := p.done(); len(d) != 1 || d[0] != `pause "welcome"` {
			t.Errorf("member %d has done %q", i, d)
		}
	}
	// The audit log of each says who it was; that of the first, both that it was asked and what it did itself.
	for i, a := range c.audits[1:] {
		if s := a.String(); !strings.Contains(s, "admin.token for admin.token through mailer-0") || !strings.Contains(s, "tasks/pause") {
			t.Errorf("audit of member %d: %s", i+1, s)
		}
	}
	if s := c.audits[0].String(); !strings.Contains(s, "fleet/do") || !strings.Contains(s, `"touched":3`) {
		t.Errorf("audit: %s", s)
	}
	// To one, by its name; a refusal of a member is its answer.
	w = ask(c.servers[0], "POST", "/api/v1/fleet/do", `{"order":"log/level","body":{"name":"mailer","level":"loud"},"members":["mailer-2"]}`, bearer(goodToken))
	if got := answersOf(t, w); got.Done != 0 || len(got.List) != 1 || got.List[0].Status != 400 || !strings.Contains(got.List[0].Error, "loud") {
		t.Errorf("%+v", got)
	}
}

const c0 = "http://127.0.0.1:1/"

func (c *crew) memberAt(i int) string { return c.list[i].Name }

// TestAMemberIsSeenThroughAnother: what it shows, and how it does not answer.
func TestAMemberIsSeenThroughAnother(t *testing.T) {
	hung, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close()
	set := Settings{Token: settings.NewSecret(goodToken), Tokens: map[string]Token{"rob": {settings.NewSecret(secondToken), ScopeRead}}}
	c := newCrew(t, 2, set, FleetMember{Name: "hung", Addr: "127.0.0.1:7946", Admin: "http://" + hung.Addr().String() + "/"},
		FleetMember{Name: "gone", Addr: "127.0.0.1:1", Gone: MemberLeft})
	c.soonTired()
	c.plants[1].info.PID = 4711
	for _, x := range []struct {
		path string
		code int
		says string
	}{
		{"/api/v1/fleet", 200, `"name":"mailer-1"`},
		{"/api/v1/fleet/mailer-1/state", 200, `"pid":4711`},
		{"/api/v1/fleet/mailer-0/state", 200, `"pid":7`},
		{"/api/v1/fleet/mailer-1/executions?limit=1", 200, `"list":[]`},
		{"/api/v1/fleet/mailer-1/executions?limit=x", 400, "limit"},
		{"/api/v1/fleet/mailer-1/transitions?service=ghost", 404, "no breaker"},
		{"/api/v1/fleet/mailer-1/breakers", 200, "https://mail.internal"},
		{"/api/v1/fleet/mailer-1/dead", 404, "want one of"},
		{"/api/v1/fleet/mailer-1/fleet", 404, "want one of"},
		{"/api/v1/fleet/mailer-1/..%2f..%2fmetrics", 404, "want one of"},
		{"/api/v1/fleet/ghost/state", 404, "no member"},
		{"/api/v1/fleet/gone/state", 404, "left"},
		{"/api/v1/fleet/hung/state", 502, "no answer in time"},
	} {
		w := ask(c.servers[0], "GET", x.path, "", bearer(secondToken))
		if w.Code != x.code || !strings.Contains(w.Body.String(), x.says) {
			t.Errorf("%s: %d %s, want %d and %q", x.path, w.Code, w.Body, x.code, x.says)
		}
	}
	for path, code := range map[string]int{"/api/v1/fleet": 401, "/api/v1/fleet/mailer-1/state": 401} {
		if w := ask(c.servers[0], "GET", path, ""); w.Code != code {
			t.Errorf("%s without a token: %d", path, w.Code)
		}
	}
	// One that may look gives no order, here or there.
	w := ask(c.servers[0], "POST", "/api/v1/fleet/do", `{"order":"tasks/pause","body":{"task":""},"all":true}`, bearer(secondToken))
	if w.Code != http.StatusForbidden || len(c.plants[0].done())+len(c.plants[1].done()) > 0 {
		t.Errorf("a reader's order: %d, %v", w.Code, c.plants[1].done())
	}
	cfg := newPlant().config(Settings{})
	cfg.Fleet = plantFleet{err: errors.New("the agent is gone")}
	if w := ask(made(t, cfg), "GET", "/api/v1/fleet", ""); w.Code != 500 || !strings.Contains(w.Body.String(), "the agent is gone") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(serve(t, newPlant(), Settings{}), "GET", "/api/v1/fleet", ""); w.Code != 404 {
		t.Errorf("a service without a fleet: %d", w.Code)
	}
}

// TestOrdersToAFleetAreChecked before anyone hears of them.
func TestOrdersToAFleetAreChecked(t *testing.T) {
	c := newCrew(t, 2, Settings{})
	for body, says := range map[string]string{
		`{"order":"dead/delete","body":{"ids":["m1"],"confirm":"delete"},"all":true}`:   "want one of",
		`{"order":"fleet/do","body":{},"all":true}`:                                     "want one of",
		`{"order":"../../metrics","body":{},"all":true}`:                                "want one of",
		`{"order":"tasks/pause","all":true}`:                                            "body is missing",
		`{"order":"tasks/pause","body":{"task":""}}`:                                    "members",
		`{"order":"tasks/pause","body":{"task":""},"all":true,"members":["mailer-1"]}`:  "members",
		`{"order":"tasks/pause","body":{"task":""},"members":["mailer-1","nosferatu"]}`: "no member",
		`{"order":"tasks/pause","body":{"task":""},"all":true,"url":"http://x"}`:        "unknown field",
	} {
		if w := ask(c.servers[0], "POST", "/api/v1/fleet/do", body); w.Code/100 != 4 || !strings.Contains(w.Body.String(), says) {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	if d := append(c.plants[0].done(), c.plants[1].done()...); len(d) > 0 {
		t.Errorf("done: %q", d)
	}
	// On this machine alone, without any token.
	w := ask(c.servers[0], "POST", "/api/v1/fleet/do", `{"order":"breakers/reset","body":{"service":"https://mail.internal","path":""},"members":["mailer-1"]}`)
	if got := answersOf(t, w); got.Done != 1 || len(c.plants[1].done()) != 1 {
		t.Errorf("%+v %q", got, c.plants[1].done())
	}
	if w := ask(c.servers[0], "POST", "/api/v1/fleet/do", `{}`, CommandHeader+": "); w.Code != http.StatusForbidden {
		t.Errorf("without the header: %d", w.Code)
	}
}

// TestNoTokenLeavesAServer: one that poses as a member learns nothing that it could use.
func TestNoTokenLeavesAServer(t *testing.T) {
	var heard atomic.Pointer[http.Request]
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard.Store(r.Clone(context.Background()))
		w.Write([]byte(`{}`))
	}))
	defer thief.Close()
	set := Settings{Token: settings.NewSecret(goodToken)}
	c := newCrew(t, 2, set, FleetMember{Name: "thief", Addr: "127.0.0.1:1", Admin: thief.URL})
	if w := ask(c.servers[0], "GET", "/api/v1/fleet/thief/state", "", bearer(goodToken)); w.Code != 200 {
		t.Fatal(w.Code, w.Body)
	}
	r := heard.Load()
	for name, values := range r.Header {
		if s := strings.Join(values, " "); strings.Contains(s, goodToken) || strings.Contains(s, goodToken[:8]) {
			t.Errorf("%s: %s", name, s)
		}
	}
	stolen := r.Header.Get("Authorization")
	if !strings.HasPrefix(stolen, relayScheme+" ") {
		t.Fatalf("%q", stolen)
	}
	// What it heard is good for nothing: it was for another host.
	if w := ask(c.servers[1], "GET", "/api/v1/state", "", "Authorization: "+stolen); w.Code != http.StatusUnauthorized {
		t.Errorf("a signature for another host: %d", w.Code)
	}
	if s := c.audits[1].String(); !strings.Contains(s, "login refused") {
		t.Errorf("the audit log does not have it: %s", s)
	}
}

// TestSignatures: only what was signed passes, once, and for a minute.
func TestSignatures(t *testing.T) {
	const body = `{"task":""}`
	set := Settings{Token: settings.NewSecret(goodToken), Tokens: map[string]Token{"rob": {settings.NewSecret(secondToken), ScopeRead}}}
	p := newPlant()
	srv := serve(t, p, set)
	signed := func(method, path string, body string, from origin, change func(*http.Request)) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "http://localhost:9190"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(CommandHeader, "1")
		if err := newCredentials(set).sign(r, []byte(body), from); err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(r)
		}
		w := httptest.NewRecorder()
		srv.Handler().ServeHTTP(w, r)
		return w
	}
	alice := origin{name: "alice, and=mac \"\x1b[31m", scope: ScopeOperate}
	replace := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			h := r.Header.Get("Authorization")
			if !strings.Contains(h, old) {
				t.Fatalf("%q is not in %s", old, h)
			}
			r.Header.Set("Authorization", strings.Replace(h, old, new, 1))
		}
	}
	late := func(d time.Duration) func(*http.Request) {
		return func(r *http.Request) {
			s, _ := parseSignature(r.Header.Get("Authorization"))
			s.at = time.Now().Add(d).Unix()
			mac := s.sum(newCredentials(set).keys[0].sum[:], r.Method, r.URL.Host, r.URL.RequestURI())
			r.Header.Set("Authorization", fmt.Sprintf("%s who=x, scope=%s, at=%d, nonce=%s, body=%s, mac=%x", relayScheme, s.scope, s.at, s.nonce, s.body, mac))
		}
	}
	for name, x := range map[string]struct {
		w    *httptest.ResponseRecorder
		code int
	}{
		"as signed":        {signed("POST", "/api/v1/tasks/pause", body, alice, nil), 200},
		"a reader's look":  {signed("GET", "/api/v1/state", "", origin{name: "rob", scope: ScopeRead}, nil), 200},
		"a reader's order": {signed("POST", "/api/v1/tasks/pause", body, origin{name: "rob", scope: ScopeRead}, nil), 403},
		"more scope":       {signed("POST", "/api/v1/tasks/pause", body, origin{name: "rob", scope: ScopeRead}, replace("scope=read", "scope=operate")), 401},
		"another name":     {signed("POST", "/api/v1/tasks/pause", body, alice, replace("who=alice", "who=bob")), 401},
		"another body": {signed("POST", "/api/v1/tasks/pause", body, alice, func(r *http.Request) {
			r.Body = http.NoBody
		}), 403},
		"another path":    {signed("POST", "/api/v1/tasks/pause", body, alice, func(r *http.Request) { r.URL.Path = "/api/v1/tasks/resume" }), 401},
		"another query":   {signed("GET", "/api/v1/executions?limit=1", "", alice, func(r *http.Request) { r.URL.RawQuery = "limit=500"; r.RequestURI = "" }), 401},
		"another host":    {signed("GET", "/api/v1/state", "", alice, func(r *http.Request) { r.Host = "127.0.0.1:9190" }), 401},
		"no mac":          {signed("GET", "/api/v1/state", "", alice, replace("mac=", "cam=")), 401},
		"a short nonce":   {signed("GET", "/api/v1/state", "", alice, func(r *http.Request) { r.Header.Set("Authorization", relayScheme+" nonce=x") }), 401},
		"garbage":         {signed("GET", "/api/v1/state", "", alice, func(r *http.Request) { r.Header.Set("Authorization", relayScheme+" \xff,,,===,") }), 401},
		"two minutes ago": {signed("GET", "/api/v1/state", "", alice, late(-2*time.Minute)), 401},
		"in two minutes":  {signed("GET", "/api/v1/state", "", alice, late(2*time.Minute)), 401},
	} {
		if x.w.Code != x.code {
			t.Errorf("%s: %d %s, want %d", name, x.w.Code, x.w.Body, x.code)
		}
	}
	var kept string
	if w := signed("POST", "/api/v1/tasks/pause", body, alice, func(r *http.Request) { kept = r.Header.Get("Authorization") }); w.Code != 200 {
		t.Fatal(w.Code)
	}
	if w := ask(srv, "POST", "/api/v1/tasks/pause", body, "Authorization: "+kept); w.Code != 401 || !strings.Contains(w.Body.String(), "sent before") {
		t.Errorf("sent twice: %d %s", w.Code, w.Body)
	}
	if d := p.done(); len(d) != 2 {
		t.Errorf("done: %q", d)
	}
	// Its token is taken out of the settings: what it signed counts no more.
	if err := srv.Apply(Settings{Token: settings.NewSecret(secondToken)}); err != nil {
		t.Fatal(err)
	}
	if w := signed("GET", "/api/v1/state", "", alice, nil); w.Code != 401 {
		t.Errorf("by a token that is no more: %d", w.Code)
	}
	if err := newCredentials(Settings{Tokens: map[string]Token{"rob": {settings.NewSecret(secondToken), ScopeRead}}}).
		sign(httptest.NewRequest("GET", "http://x/", nil), nil, alice); !errors.Is(err, ErrNotNow) || !strings.Contains(err.Error(), "admin.token") {
		t.Errorf("no token of that scope: %v", err)
	}
}

// TestNoncesAreForgotten: what is remembered is bounded.
func TestNoncesAreForgotten(t *testing.T) {
	var n nonces
	now := time.Now()
	for i := range maxNonces {
		if err := n.take(fmt.Sprint(i), now); err != nil {
			t.Fatal(err)
		}
	}
	if n.take("one more", now) == nil || n.take("7", now.Add(signLife)) == nil {
		t.Error("too many, or the same twice")
	}
	if err := n.take("7", now.Add(2*signLife+time.Second)); err != nil || len(n.seen) != 1 {
		t.Errorf("%v, %d are kept", err, len(n.seen))
	}
}

// TestWhatMembersSayIsCut: a member's own words are a stranger's.
func TestWhatMembersSayIsCut(t *testing.T) {
	long := strings.Repeat("\x1b[31m<b>", 1000)
	m := FleetMember{Name: long, Addr: long, Admin: long, Version: long, State: long, Rates: map[string]float64{long: 1}}
	for range 5000 {
		m.Open = append(m.Open, FleetEntry{long, long, breaker.Open})
	}
	cfg := newPlant().config(Settings{})
	cfg.Fleet = plantFleet{list: []FleetMember{m}}
	w := ask(made(t, cfg), "GET", "/api/v1/fleet", "")
	var page FleetPage
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != 200 {
		t.Fatal(w.Code, err)
	}
	if got := page.List[0]; len(got.Name) > 300 || strings.Contains(w.Body.String(), `\u001b`) || len(got.Open) != maxEntries || got.More != 5000-maxEntries {
		t.Errorf("%d bytes of a name, %d entries and %d more", len(got.Name), len(got.Open), got.More)
	}
	if _, err := choose([]FleetMember{m}, []string{page.List[0].Name}, false); err != nil {
		t.Errorf("a member is not found by the name that is shown: %v", err)
	}
}

// TestMembersByTLS: a member is known by the certificate of this process, or by a valid one.
func TestMembersByTLS(t *testing.T) {
	dir, spare := t.TempDir(), t.TempDir()
	files := authority(t, "our authority").issue(t, dir, "server")
	set := Settings{Token: settings.NewSecret(goodToken), TLS: TLSSettings{CertFile: files[0], KeyFile: files[1]}}
	strange := authority(t, "another authority").issue(t, spare, "server")
	foreign := newCrew(t, 1, Settings{Token: set.Token, TLS: TLSSettings{CertFile: strange[0], KeyFile: strange[1]}})
	far := foreign.list[0]
	far.Name, far.Self = "far", false
	c := newCrew(t, 2, set, far)
	w := ask(c.servers[0], "POST", "/api/v1/fleet/do", `{"order":"tasks/pause","body":{"task":""},"all":true}`, bearer(goodToken))
	got := answersOf(t, w)
	if got.Done != 2 || !strings.Contains(got.List[2].Error, "certificate") || len(foreign.plants[0].done()) > 0 {
		t.Errorf("%+v", got)
	}
}

// TestACertificateOfAnotherAddressIsNoMember: a valid certificate for another name or address
// was taken for any member, for the name to check was empty.
func TestACertificateOfAnotherAddressIsNoMember(t *testing.T) {
	known := authority(t, "a known authority")
	roots := x509.NewCertPool()
	roots.AddCert(known.cert)
	cert, err := tls.LoadX509KeyPair(filepathsOf(known.issue(t, t.TempDir(), "member")))
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{"127.0.0.1": true, "127.0.0.2": false, "10.0.0.7": false} {
		srv, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			if c, err := srv.Accept(); err == nil {
				_ = c.(*tls.Conn).Handshake() // the client may refuse
				c.Close()
			}
		}()
		d := tls.Dialer{Config: &tls.Config{ServerName: host, InsecureSkipVerify: true, // #nosec G402 -- the check is below
			VerifyConnection: trusts(TLSSettings{}, host, roots)}}
		c, err := d.DialContext(t.Context(), "tcp", srv.Addr().String())
		if (err == nil) != want {
			t.Errorf("as %s: %v", host, err)
		}
		if err == nil {
			c.Close()
		}
		<-served
		srv.Close()
	}
}

func filepathsOf(files [2]string) (cert, key string) { return files[0], files[1] }
