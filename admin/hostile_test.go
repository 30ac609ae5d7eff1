package admin

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sambatech/chassis/internal/clip"
	"github.com/sambatech/chassis/settings"
)

const mostMemory = 128 << 20 // of a flood

// peak runs f and returns the most heap that was in use meanwhile, beyond what
// was before.
func peak(f func()) uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, most := m.HeapAlloc, atomic.Uint64{}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most.Store(max(most.Load(), m.HeapAlloc))
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	f()
	close(stop)
	<-stopped
	return most.Load() - min(before, most.Load())
}

// TestHostileIDsOfAMegabyteCostAnOpenPageLittle: events, executions, dead letters
// and log lines with ids of 900 KB, and four pages, one of which does not read.
func TestHostileIDsOfAMegabyteCostAnOpenPageLittle(t *testing.T) {
	p := newPlant()
	big := strings.Repeat("x", 900<<10)
	for range 60 {
		p.execs = append(p.execs, Execution{Task: big, ExecID: big, JobID: big, JobName: big, Error: big, Phase: "running"})
		p.letters = append(p.letters, DeadLetter{ID: "m", Task: big, ExecID: big, JobID: big, Reason: big, LastError: big, Defects: big, Body: big[:16<<10]})
		p.breakers = append(p.breakers, Breaker{Service: big, State: "open", Entries: []BreakerEntry{{Path: big, State: "open"}}})
		p.tasks = append(p.tasks, Task{Name: big})
	}
	p.ready.Reasons = []string{big, big}
	srv := listening(t, p, Settings{Listen: "127.0.0.1:0"})
	most := peak(func() {
		for i := range 4 {
			c := connect(t, srv, "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
			if i > 0 {
				go io.Copy(io.Discard, c) // ends with the test
			}
		}
		waitFor(t, func() (ok bool) { p.set(func() { ok = len(p.events) == 1 }); return })
		for range 3 * maxBatch {
			p.set(func() {
				for _, e := range p.events {
					e <- Event{Task: big, ExecID: big, JobID: big, JobName: big, Error: big, Reason: big}
				}
				for _, f := range p.follow {
					f <- big
				}
			})
		}
		for _, path := range []string{"/api/v1/executions?limit=500", "/api/v1/dead?limit=1000", "/api/v1/state", "/api/v1/breakers", "/metrics", "/readyz"} {
			w := ask(srv, "GET", path, "")
			if w.Code != 200 && path != "/readyz" || w.Body.Len() > maxAnswer {
				t.Errorf("%s: %d, %d bytes", path, w.Code, w.Body.Len())
			}
		}
		time.Sleep(2 * tick) // what the hub makes of it
	})
	t.Logf("%.1f MB at most", float64(most)/(1<<20))
	if most > mostMemory {
		t.Errorf("%d MB", most>>20)
	}
}

// TestHostileNumbersOfThingsAreCut: what a state and the metrics show does not
// grow with what strangers make.
func TestHostileNumbersOfThingsAreCut(t *testing.T) {
	p := newPlant()
	for i := range 20_000 {
		b := Breaker{Service: fmt.Sprintf("https://host-%d.example", i), State: "closed", Entries: []BreakerEntry{{State: "closed"}}}
		if i%100 == 99 {
			b.State = "open"
			for k := range 50 {
				b.Entries = append(b.Entries, BreakerEntry{Path: fmt.Sprintf("/%d", k), State: "open"})
			}
		}
		p.breakers = append(p.breakers, b)
		p.tasks = append(p.tasks, Task{Name: fmt.Sprintf("task-%d", i), Registered: true})
		p.levels[fmt.Sprintf("level-%d", i)] = "DEBUG"
		p.lines = append(p.lines, strings.Repeat("x", 20<<10))
	}
	srv := serve(t, p, Settings{})
	st := get[State](t, srv, "/api/v1/state")
	entries, sick := 0, 0
	for _, b := range st.Breakers {
		entries += len(b.Entries)
		if b.State == "open" {
			sick++
		}
	}
	if len(st.Breakers) != maxBreakers || sick < maxBreakers-1 || entries > allEntries+maxBreakers || len(st.Tasks) != maxTasks || len(st.Log.Levels) != maxLevels {
		t.Errorf("%d breakers, %d of them open, %d entries, %d tasks, %d levels", len(st.Breakers), sick, entries, len(st.Tasks), len(st.Log.Levels))
	}
	if st.More == nil || st.More.Breakers != 20_001-maxBreakers || st.More.Tasks == 0 || st.More.Levels == 0 {
		t.Errorf("what is left out is counted as %+v", st.More)
	}
	page := get[BreakerPage](t, srv, "/api/v1/breakers?offset=20000&limit=200")
	if page.Total != 20_001 || len(page.List) != 1 {
		t.Errorf("the last page has %d of %d breakers", len(page.List), page.Total)
	}
	if n := strings.Count(ask(srv, "GET", "/metrics", "").Body.String(), "\n"); n > 200*30 {
		t.Errorf("the metrics have %d lines", n)
	}
	if w := ask(srv, "GET", "/api/v1/log?lines=2000", ""); w.Body.Len() > 2*maxLogBytes {
		t.Errorf("the log has %d bytes", w.Body.Len())
	}
}

// TestHostileTextCannotControlWhatShowsIt: terminal escapes, marks of direction.
func TestHostileTextCannotControlWhatShowsIt(t *testing.T) {
	p := newPlant()
	evil := "\x1b]0;owned\x07\u202egnp.exe\u2066\u009b2J\xff"
	p.execs = []Execution{{Task: evil, ExecID: evil, JobID: evil, JobName: evil, Error: evil, Progress: &Progress{Note: evil}}}
	p.letters = []DeadLetter{{Task: evil, ExecID: evil, JobID: evil, JobName: evil, Reason: evil, LastError: evil, Defects: evil}}
	p.tasks, p.breakers = []Task{{Name: evil}}, []Breaker{{Service: evil, Entries: []BreakerEntry{{Path: evil}}}}
	p.ready = Readiness{Reasons: []string{evil}}
	srv := serve(t, p, Settings{})
	for _, path := range []string{"/api/v1/state", "/api/v1/executions", "/api/v1/dead", "/api/v1/breakers", "/readyz", "/metrics"} {
		var shown any
		body := ask(srv, "GET", path, "").Body.Bytes()
		text := string(body)
		if json.Unmarshal(body, &shown) == nil {
			text = fmt.Sprintf("%+v", shown)
		}
		if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && clip.Unsafe(r) }); i >= 0 {
			t.Errorf("%s shows %q", path, text[i:min(len(text), i+20)])
		}
	}
}

// TestHostileConnectionsKeepNoProbeOut: 600 requests with a body that never comes,
// of clients without a token, or of any program on a machine without one. See
// hiero-ledger/hiero-block-node#3168.
func TestHostileConnectionsKeepNoProbeOut(t *testing.T) {
	body := "Host: localhost\r\nContent-Type: application/json\r\nChassis-Command: 1\r\nContent-Length: 100\r\n"
	for name, c := range map[string]struct {
		set     Settings
		request string
	}{
		"a command, without the token":    {Settings{Token: settings.NewSecret(goodToken)}, "POST /api/v1/tasks/pause HTTP/1.1\r\n" + body + "\r\n{"},
		"a command, and none is needed":   {Settings{}, "POST /api/v1/tasks/pause HTTP/1.1\r\n" + body + "\r\n{"},
		"a probe with a body":             {Settings{}, "GET /readyz HTTP/1.1\r\n" + body + "\r\n"},
		"no path of the server":           {Settings{}, "POST /nothing HTTP/1.1\r\n" + body + "\r\n"},
		"a wrong token":                   {Settings{Token: settings.NewSecret(goodToken)}, "GET /api/v1/state HTTP/1.1\r\nAuthorization: Bearer wrong\r\n" + body + "\r\n"},
		"a foreign host":                  {Settings{}, "POST / HTTP/1.1\r\n" + strings.Replace(body, "localhost", "evil.example", 1) + "\r\n"},
		"headers that never end":          {Settings{}, "GET /livez HTTP/1.1\r\nHost: localhost\r\n"},
		"a chunked body that never comes": {Settings{}, "POST /api/v1/log/level HTTP/1.1\r\nHost: localhost\r\nChassis-Command: 1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlant()
			c.set.Listen = "127.0.0.1:0"
			srv := listening(t, p, c.set)
			srv.guard.delay = wrongTokenDelay
			failed := 0
			most := peak(func() {
				for range 600 {
					connect(t, srv, c.request)
				}
				client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
				for i := range 100 {
					res, err := client.Get(srv.URL() + []string{"livez", "readyz", "startupz"}[i%3])
					if err != nil || res.StatusCode != http.StatusOK {
						failed++
						t.Logf("probe %d: %v %v", i, res, err)
						continue
					}
					res.Body.Close()
				}
			})
			if failed > 0 {
				t.Errorf("%d of 100 probes failed", failed)
			}
			if n := srv.conns.count(); n > maxConns {
				t.Errorf("%d connections are open", n)
			}
			if most > mostMemory {
				t.Errorf("it took %d MB", most>>20)
			}
			if done := p.done(); len(done) > 0 {
				t.Errorf("it did %q", done)
			}
		})
	}
}

// TestHostileRequestIsAnsweredBeforeItsBody: the refusal does not wait.
func TestHostileRequestIsAnsweredBeforeItsBody(t *testing.T) {
	srv := listening(t, newPlant(), Settings{Listen: "127.0.0.1:0", Token: settings.NewSecret(goodToken)})
	for path, want := range map[string]int{"/api/v1/tasks/pause": 401, "/livez": 405} {
		c := connect(t, srv, "POST "+path+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n")
		_ = c.SetReadDeadline(time.Now().Add(readTimeout / 2))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != want || !res.Close {
			t.Errorf("%s: %v %v", path, res, err)
		}
	}
}

// TestHostilePeerTakesNoOthersPlace: one address is held to a part of the connections.
func TestHostilePeerTakesNoOthersPlace(t *testing.T) {
	c := newConns(16, 8)
	other := &fakeConn{address: "10.0.0.2:1"}
	c.watch(other, http.StateNew)
	for i := range 100 {
		c.watch(&fakeConn{address: fmt.Sprintf("10.0.0.1:%d", i)}, http.StateNew)
	}
	if n := c.peers["10.0.0.1"].open; n != 8 || other.closed {
		t.Errorf("the one has %d connections, the other's was closed: %v", n, other.closed)
	}
	for i := range 100 {
		c.watch(&fakeConn{address: fmt.Sprintf("10.0.1.%d:1", i)}, http.StateNew)
	}
	if c.open > 16 {
		t.Errorf("%d connections", c.open)
	}
}

type fakeConn struct {
	net.Conn
	address string
	closed  bool
}

func (f *fakeConn) RemoteAddr() net.Addr {
	a, _ := net.ResolveTCPAddr("tcp", f.address)
	return a
}
func (f *fakeConn) Close() error { f.closed = true; return nil }

// TestHostileOperatorCannotActUnseen: who, what exactly, on how many.
func TestHostileOperatorCannotActUnseen(t *testing.T) {
	var log bytes.Buffer
	p := newPlant()
	cfg := p.config(Settings{Tokens: map[string]Token{"alice": {settings.NewSecret(goodToken), ScopeOperate}}})
	cfg.Audit = slog.New(slog.NewJSONHandler(&log, nil))
	srv := made(t, cfg)
	auth := "Authorization: Bearer " + goodToken
	ask(srv, "POST", "/api/v1/executions/cancel", `{"exec_id":"e7","reason":"spam"}`, auth)
	ask(srv, "POST", "/api/v1/dead/back", `{"ids":["m1","m2"]}`, auth)
	ask(srv, "POST", "/api/v1/tasks/pause", `{"task":"nobody"}`, auth)
	ids := make([]string, maxDead)
	for i := range ids {
		ids[i] = fmt.Sprintf("id-%04d", i)
	}
	all, _ := json.Marshal(map[string]any{"ids": ids, "confirm": "delete"})
	ask(srv, "POST", "/api/v1/dead/delete", string(all), auth)
	for _, want := range []string{`"by":"alice"`, `"address":"192.0.2.1:1234"`, `\"exec_id\":\"e7\"`, `\"reason\":\"spam\"`, `"touched":1`,
		`"ids":["m1","m2"]`, `"touched":2`, "refused", "id-0000", "id-0999", `"touched":1000`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in the audit log", want)
		}
	}
}

// TestHostileLoginsAreCountedAndSlowedAndDoNotFloodTheLog.
func TestHostileLoginsAreCountedAndSlowedAndDoNotFloodTheLog(t *testing.T) {
	var log bytes.Buffer
	cfg := newPlant().config(Settings{Token: settings.NewSecret(goodToken)})
	cfg.Audit = slog.New(slog.NewJSONHandler(&log, nil))
	srv := made(t, cfg)
	srv.guard.delay = 20 * time.Millisecond
	begun := time.Now()
	for i := range 20 {
		if w := ask(srv, "GET", "/api/v1/state", "", fmt.Sprintf("Authorization: Bearer guess-%d", i)); w.Code != 401 {
			t.Fatal(w.Code)
		}
	}
	if took := time.Since(begun); took < 20*srv.guard.delay {
		t.Errorf("20 wrong tokens took %v", took)
	}
	ask(srv, "GET", "/readyz", "", "Authorization: Bearer a-guess-by-a-probe")
	if n := strings.Count(log.String(), "login refused"); n != 1 || strings.Contains(log.String(), "guess") {
		t.Errorf("%d records: %s", n, log.String())
	}
	if body := ask(srv, "GET", "/metrics", "", "Authorization: Bearer "+goodToken).Body.String(); !strings.Contains(body, "chassis_admin_refused_logins_total 21") {
		t.Error("the refused logins are not counted")
	}
}

// TestHostileRedirectGivesNoCommand: a program of this machine follows a 307 of its
// upstream to the admin server, with its own body and headers.
func TestHostileRedirectGivesNoCommand(t *testing.T) {
	p := newPlant()
	srv := listening(t, p, Settings{Listen: "127.0.0.1:0"})
	for _, path := range []string{"api/v1/tasks/pause", "api/v1/breakers/reset", "api/v1/log/level", "api/v1/dead/delete"} {
		upstream := http.Server{Handler: http.RedirectHandler(srv.URL()+path, http.StatusTemporaryRedirect), ReadHeaderTimeout: time.Second}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go upstream.Serve(l)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		for _, body := range []string{"{}", `{"task":""}`, `{"ids":["m1"],"confirm":"delete"}`, `{"name":"","level":"emergency"}`, `{"service":"https://mail.internal"}`} {
			res, err := client.Post("http://"+l.Addr().String(), "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusForbidden {
				t.Errorf("%s %s: %s", path, body, res.Status)
			}
		}
		upstream.Close()
	}
	if done := p.done(); len(done) > 0 {
		t.Errorf("it did %q", done)
	}
	if w := ask(srv, "POST", "/api/v1/tasks/pause", `{}`); w.Code != 400 || len(p.done()) > 0 {
		t.Errorf("{} paused %q: %d", p.done(), w.Code)
	}
}

func TestHostileEyesSeeNoToken(t *testing.T) {
	s := Settings{Token: settings.NewSecret(goodToken), Tokens: map[string]Token{"alice": {settings.NewSecret(goodToken), ScopeRead}}}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("settings", "admin", s)
	asJSON, _ := json.Marshal(s)
	if all := fmt.Sprintf("%v %+v %#v %s %s", s, s, s, asJSON, log.String()); strings.Contains(all, goodToken) {
		t.Errorf("the token is shown: %s", all)
	}
	for name, token := range map[string]string{"the manifest's": "change-me-to-32-random-hex-digits", "in capitals": "CHANGEME-CHANGEME-1234", "one key": strings.Repeat("a", 40)} {
		for _, s := range []Settings{{Token: settings.NewSecret(token)}, {Tokens: map[string]Token{"a": {settings.NewSecret(token), ""}}}} {
			if err := s.Validate(); err == nil || strings.Contains(err.Error(), token) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestHostileReaderGivesNoCommands: scopes, and rotation without a restart.
func TestHostileReaderGivesNoCommands(t *testing.T) {
	p := newPlant()
	reader, operator := "reader-0123456789ab", "operator-0123456789"
	set := Settings{ShowBodies: "operate", PProf: true, Tokens: map[string]Token{"bob": {settings.NewSecret(reader), ""}, "alice": {settings.NewSecret(operator), ScopeOperate}}}
	srv := serve(t, p, set)
	code := func(method, path, token string) int {
		body := ""
		if method == "POST" {
			body = `{"task":""}`
		}
		return ask(srv, method, path, body, "Authorization: Bearer "+token).Code
	}
	for _, c := range []struct {
		method, path, token string
		want                int
	}{
		{"GET", "/api/v1/state", reader, 200}, {"POST", "/api/v1/tasks/pause", reader, 403}, {"GET", "/debug/pprof/", reader, 403},
		{"GET", "/api/v1/state", operator, 200}, {"POST", "/api/v1/tasks/pause", operator, 200}, {"GET", "/debug/pprof/", operator, 200},
	} {
		if got := code(c.method, c.path, c.token); got != c.want {
			t.Errorf("%s %s by %s: %d, want %d", c.method, c.path, c.token, got, c.want)
		}
	}
	if w := ask(srv, "GET", "/api/v1/dead", "", "Authorization: Bearer "+reader); strings.Contains(w.Body.String(), "a@b") || !strings.Contains(w.Body.String(), `"hidden":true`) {
		t.Errorf("a reader sees %s", w.Body)
	}
	if w := ask(srv, "GET", "/api/v1/dead", "", "Authorization: Bearer "+operator); !strings.Contains(w.Body.String(), "a@b") {
		t.Errorf("an operator sees %s", w.Body)
	}
	if me := ask(srv, "GET", "/api/v1/me", "", "Authorization: Bearer "+reader).Body.String(); !strings.Contains(me, `"bob","scope":"read"`) {
		t.Errorf("me: %s", me)
	}
	set.Tokens = map[string]Token{"alice2": {settings.NewSecret("renewed-0123456789"), ScopeOperate}}
	if err := srv.Apply(set); err != nil {
		t.Fatal(err)
	}
	if old, fresh := code("GET", "/api/v1/state", operator), code("POST", "/api/v1/tasks/pause", "renewed-0123456789"); old != 401 || fresh != 200 {
		t.Errorf("after the rotation the old token gets %d, the new one %d", old, fresh)
	}
}

// TestHostileClientIsKnownByItsCertificate, and probes need none.
func TestHostileClientIsKnownByItsCertificate(t *testing.T) {
	dir := t.TempDir()
	ca, stranger := authority(t, "our authority"), authority(t, "another authority")
	files := ca.issue(t, dir, "server")
	caFile := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(caFile, ca.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	p := newPlant()
	srv := listening(t, p, Settings{Listen: "127.0.0.1:0", TLS: TLSSettings{CertFile: files[0], KeyFile: files[1], ClientCAFile: caFile, ClientScope: ScopeOperate}})
	if !strings.HasPrefix(srv.URL(), "https://") {
		t.Errorf("served at %s", srv.URL())
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.pem)
	try := func(path string, cert [2]string) int {
		config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		if cert[0] != "" {
			pair, err := tls.LoadX509KeyPair(cert[0], cert[1])
			if err != nil {
				t.Fatal(err)
			}
			config.Certificates = []tls.Certificate{pair}
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config}}
		res, err := client.Get(srv.URL() + path)
		if err != nil {
			return 0
		}
		res.Body.Close()
		return res.StatusCode
	}
	if got := []int{try("livez", [2]string{}), try("api/v1/state", [2]string{}), try("api/v1/state", ca.issue(t, dir, "alice")), try("api/v1/state", stranger.issue(t, dir, "mallory"))}; fmt.Sprint(got) != "[200 401 200 0]" && fmt.Sprint(got) != "[200 401 200 401]" {
		t.Errorf("a probe, nothing, ours, a stranger's: %v", got)
	}
}

// TestHostileHeaderIsNoIdentity: a company's handler says who it is, by the ctx alone.
func TestHostileHeaderIsNoIdentity(t *testing.T) {
	p := newPlant()
	cfg := p.config(Settings{Token: settings.NewSecret(goodToken)})
	cfg.Wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Signed") == "by the company" {
				r = r.WithContext(WithIdentity(r.Context(), Identity{"carol", ScopeRead}))
			}
			next.ServeHTTP(w, r)
		})
	}
	srv := made(t, cfg)
	if w := ask(srv, "GET", "/api/v1/me", "", "X-Signed: by the company"); w.Code != 200 || !strings.Contains(w.Body.String(), "carol") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(srv, "POST", "/api/v1/tasks/pause", `{"task":""}`, "X-Signed: by the company"); w.Code != 403 {
		t.Errorf("a reader paused the pool: %d", w.Code)
	}
	if w := ask(srv, "GET", "/api/v1/me", ""); w.Code != 401 {
		t.Errorf("without an identity: %d", w.Code)
	}
}

// listening is a server with a listener.
func listening(t *testing.T, p *plant, s Settings) *Server {
	t.Helper()
	srv := serve(t, p, s)
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	return srv
}

// made is a server of a whole configuration.
func made(t *testing.T, cfg Config) *Server {
	t.Helper()
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv.guard.delay = 0
	t.Cleanup(func() { _ = srv.Close(context.Background()) })
	return srv
}

// connect sends a part of a request and leaves the connection open.
func connect(t *testing.T, srv *Server, request string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", srv.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_, _ = io.WriteString(c, request) // it may have lost its place already
	return c
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen")
		}
	}
}

// ca issues certificates for a test.
type ca struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func authority(t *testing.T, name string) *ca {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &ca{key, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue writes a certificate and its key, and returns the two files.
func (c *ca) issue(t *testing.T, dir, name string) (files [2]string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, form, c.cert, &key.PublicKey, c.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "EC PRIVATE KEY", Bytes: private}} {
		files[i] = filepath.Join(dir, fmt.Sprintf("%s-%d.pem", name, i))
		if err := os.WriteFile(files[i], pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestHostileHandshakesKeepNoProbeOut: 600 connections that never shake hands.
func TestHostileHandshakesKeepNoProbeOut(t *testing.T) {
	files := authority(t, "our authority").issue(t, t.TempDir(), "server")
	srv := listening(t, newPlant(), Settings{Listen: "127.0.0.1:0", TLS: TLSSettings{CertFile: files[0], KeyFile: files[1]}})
	for i := range 600 {
		connect(t, srv, []string{"", "\x16\x03\x01"}[i%2])
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // #nosec G402 -- the server is this test's own
	for range 30 {
		res, err := client.Get(srv.URL() + "livez")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
}
