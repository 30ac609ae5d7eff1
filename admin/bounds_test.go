package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/internal/clip"
	"github.com/sambatech/chassis/task"
)

// TestHostileIDsOfAMegabyteCostAnOpenPageLittle: events, executions, dead letters
// and log lines with ids of 900 KB, and four pages, one that does not read.
func TestHostileIDsOfAMegabyteCostAnOpenPageLittle(t *testing.T) {
	p := newPlant()
	big := strings.Repeat("x", 900<<10)
	for range 60 {
		p.execs = append(p.execs, Execution{Execution: dispatcher.Execution{Task: big, ExecID: big, JobID: big, JobName: big, Error: big, Phase: "running"}})
		p.letters = append(p.letters, DeadLetter{ID: "m", Task: big, ExecID: big, JobID: big, Reason: big, LastError: big, Defects: big, Body: big[:16<<10]})
		p.breakers = append(p.breakers, newBreaker(big, breaker.Open, breaker.EntryStatus{Entry: big, State: breaker.Open}))
		p.tasks = append(p.tasks, dispatcher.TaskStats{Name: big})
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
					e <- &dispatcher.Event{Task: big, ExecID: big, JobID: big, JobName: big, Error: big, Reason: big}
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
		b := newBreaker(fmt.Sprintf("https://host-%d.example", i), breaker.Closed, breaker.EntryStatus{})
		if i%100 == 99 {
			b.State = breaker.Open
			for k := range 50 {
				b.Entries = append(b.Entries, breaker.EntryStatus{Entry: fmt.Sprintf("/%d", k), State: breaker.Open})
			}
		}
		p.breakers = append(p.breakers, b)
		p.tasks = append(p.tasks, dispatcher.TaskStats{Name: fmt.Sprintf("task-%d", i), Registered: true})
		p.levels[fmt.Sprintf("level-%d", i)] = "DEBUG"
		p.lines = append(p.lines, strings.Repeat("x", 20<<10))
	}
	srv := serve(t, p, Settings{})
	st := get[State](t, srv, "/api/v1/state")
	entries, sick := 0, 0
	for _, b := range st.Breakers {
		entries += len(b.Entries)
		if b.State == breaker.Open {
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
	if n := strings.Count(ask(srv, "GET", "/metrics", "").Body.String(), "\n"); n > 200*31 {
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
	p.execs = []Execution{{Execution: dispatcher.Execution{Task: evil, ExecID: evil, JobID: evil, JobName: evil, Error: evil, Progress: &task.Progress{Note: evil},
		Steps: []task.StepState{{Lane: evil, Name: evil, Note: evil}}}}}
	p.letters = []DeadLetter{{Task: evil, ExecID: evil, JobID: evil, JobName: evil, Reason: evil, LastError: evil, Defects: evil}}
	p.tasks, p.breakers = []dispatcher.TaskStats{{Name: evil}}, []Breaker{newBreaker(evil, breaker.Closed, breaker.EntryStatus{Entry: evil})}
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
