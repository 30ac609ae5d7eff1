//go:build unix

package processes

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sambatech/chassis/task/cron"
)

// sends is what the queue of ticks took: the messages of each tick, and when the first came.
type sends struct {
	mu       sync.Mutex
	messages map[string]map[string]bool // message ids by job id
	first    map[string]time.Time
}

// watch returns a way to the queue that takes note of what is sent.
func (s *sends) watch(t *testing.T, to string) string {
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") != "AmazonSQS.SendMessageBatch" {
			proxy.ServeHTTP(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer := httptest.NewRecorder()
		proxy.ServeHTTP(answer, r)
		s.note(body, answer.Body.Bytes(), time.Now())
		for key, values := range answer.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (s *sends) note(request, answer []byte, at time.Time) {
	var asked struct {
		Entries []struct {
			Id                string
			MessageAttributes map[string]struct{ StringValue string }
		}
	}
	var got struct {
		Successful []struct{ Id, MessageId string }
	}
	if json.Unmarshal(request, &asked) != nil || json.Unmarshal(answer, &got) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sent := range got.Successful {
		for _, e := range asked.Entries {
			if id := e.MessageAttributes["job_id"].StringValue; e.Id == sent.Id && id != "" {
				if s.messages[id] == nil {
					s.messages[id], s.first[id] = map[string]bool{}, at
				}
				s.messages[id][sent.MessageId] = true
			}
		}
	}
}

// skewedTime is package time with a clock that is wrong, by the environment of a process.
func skewedTime(t *testing.T, dir string) (overlay string) {
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	std := filepath.Join(strings.TrimSpace(string(out)), "src", "time")
	text, err := os.ReadFile(filepath.Join(std, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const call = "\tsec, nsec, mono := runtimeNow()\n\tif mono == 0 {"
	if strings.Count(string(text), call) != 1 {
		t.Skip("time.Now of this Go is not written as this test knows it")
	}
	wrong := strings.Replace(string(text), call, "\tsec, nsec, mono := runtimeNow()\n\tsec += skewAt(mono)\n\tif mono == 0 {", 1)
	replace := map[string]string{}
	for name, text := range map[string]string{"time.go": wrong, "skew.go": skewSource} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(std, name)] = file
	}
	list, _ := json.Marshal(map[string]any{"Replace": replace})
	overlay = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}

const skewSource = `package time

import "syscall"

var skewSeconds, skewStep, skewAfter = skewOf("CLOCK_SKEW"), skewOf("CLOCK_STEP"), skewOf("CLOCK_STEP_AFTER")

func skewOf(name string) int64 {
	text, _ := syscall.Getenv(name)
	n, sign := int64(0), int64(1)
	for _, c := range text {
		if c == '-' {
			sign = -1
		} else {
			n = n*10 + int64(c-'0')
		}
	}
	return sign * n
}

func skewAt(mono int64) int64 {
	if skewStep != 0 && mono-startNano > skewAfter*1e9 {
		return skewSeconds + skewStep
	}
	return skewSeconds
}
`

// process is one copy of the program.
type process struct {
	cmd       *exec.Cmd
	ready     chan struct{} // closed once it said so
	gone      chan struct{}
	suspended bool
	down      time.Time // until when nothing is started in its place
}

// fleet are the copies, and when each could work.
type fleet struct {
	t                           *testing.T
	program                     string
	env                         []string
	mu                          sync.Mutex
	up                          int    // copies that can work
	spans                       []span // in which one could
	starts, kills, stops, steps int
}

type span struct{ from, to time.Time }

func (f *fleet) count(by int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch f.up += by; {
	case by > 0 && f.up == by:
		f.spans = append(f.spans, span{from: time.Now()})
	case by < 0 && f.up == 0:
		f.spans[len(f.spans)-1].to = time.Now()
	}
}

// through reports whether a copy could work for the whole of a time.
func (f *fleet) through(from, to time.Time) bool {
	return slices.ContainsFunc(f.spans, func(s span) bool {
		return !s.from.After(from) && (s.to.IsZero() || !s.to.Before(to))
	})
}

func (f *fleet) start(random *rand.Rand) *process {
	p := &process{cmd: exec.Command(f.program), ready: make(chan struct{}), gone: make(chan struct{})}
	p.cmd.Env = append(slices.Clone(f.env), fmt.Sprintf("CLOCK_SKEW=%d", random.IntN(61)-30))
	if random.IntN(2) == 0 {
		f.steps++
		p.cmd.Env = append(p.cmd.Env, fmt.Sprintf("CLOCK_STEP=%d", random.IntN(41)-20),
			fmt.Sprintf("CLOCK_STEP_AFTER=%d", 3+random.IntN(20)))
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	p.cmd.Stderr = f.t.Output()
	if err := p.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.starts++
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if lines.Text() == "ready" {
				f.count(1)
				close(p.ready)
			}
		}
		_ = p.cmd.Wait()
		close(p.gone)
	}()
	return p
}

func (p *process) isReady() bool {
	select {
	case <-p.ready:
		return true
	default:
		return false
	}
}

// await waits until the process can work.
func (p *process) await(t *testing.T) {
	t.Helper()
	select {
	case <-p.ready:
	case <-p.gone:
		t.Fatal("a process ended instead of becoming ready")
	}
}

func (f *fleet) kill(p *process) {
	if p.isReady() && !p.suspended {
		f.count(-1)
	}
	f.kills++
	_ = p.cmd.Process.Kill()
	<-p.gone
}

// stalls are the times at which this machine did not even run a timer.
func stalls(done <-chan struct{}) (list func() []span) {
	var mu sync.Mutex
	var found []span
	go func() {
		last := time.Now()
		for {
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
			now := time.Now()
			if now.Sub(last) > 200*time.Millisecond {
				mu.Lock()
				found = append(found, span{last, now})
				mu.Unlock()
			}
			last = now
		}
	}()
	return func() []span {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(found)
	}
}

// TestSchedulesOfRealProcesses runs five processes for ten minutes, kills them with SIGKILL,
// suspends them for seconds or for six minutes, and gives each a clock that is wrong by up to
// 30 s, which may step by 20 s while it runs. The queue gets each tick once, and at most 1 s
// late, unless no process could work all the time, or the machine itself stood still.
func TestSchedulesOfRealProcesses(t *testing.T) {
	if os.Getenv("CHASSIS_SCALE") != "full" {
		t.Skip("it takes ten minutes: CHASSIS_SCALE=full")
	}
	length := 10 * time.Minute
	if text := os.Getenv("TICKER_LENGTH"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	build := func(name, pkg string, flags ...string) string {
		file := filepath.Join(dir, name)
		args := append([]string{"build", "-o", file}, flags...)
		if out, err := exec.CommandContext(t.Context(), "go", append(args, pkg)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return file
	}
	server := exec.Command(build("chassis", "github.com/sambatech/chassis/cmd/chassis"), "queue", "serve", "--json",
		"--listen", "127.0.0.1:0", "--path", filepath.Join(dir, "queue.db"))
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = server.Process.Kill(), server.Wait() }()
	var at struct{ Endpoint string }
	if err := json.NewDecoder(out).Decode(&at); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()

	sent := &sends{messages: map[string]map[string]bool{}, first: map[string]time.Time{}}
	runs := filepath.Join(dir, "runs")
	f := &fleet{t: t, program: build("ticker", "./ticker", "-overlay", skewedTime(t, dir)), env: append(os.Environ(),
		"CHASSIS_QUEUE__ENDPOINT="+sent.watch(t, at.Endpoint), "CHASSIS_QUEUE__REGION=us-east-1", "AWS_ACCESS_KEY_ID=x",
		"AWS_SECRET_ACCESS_KEY=x", "CHASSIS_TASKS__TASK_POOL=ticker", "CHASSIS_TASKS__TASK_TIMEOUT=10s",
		"CHASSIS_LOG__LEVEL=ERROR", "TICKER_RUNS="+runs)}
	done := make(chan struct{})
	stood := stalls(done)

	const copies = 5
	random := rand.New(rand.NewPCG(2026, uint64(time.Now().UnixNano())))
	fleet := make([]*process, copies)
	for i := range fleet {
		fleet[i] = f.start(random)
	}
	for _, p := range fleet {
		p.await(t)
	}
	begin := time.Now()
	end := begin.Add(length)
	long := fleet[0] // is suspended for longer than SQS knows a deduplication id
	f.count(-1)
	_ = long.cmd.Process.Signal(syscall.SIGSTOP)
	long.suspended, long.down = true, begin.Add(min(6*time.Minute, length/2))
	for time.Now().Before(end) {
		time.Sleep(time.Duration(200+random.IntN(1200)) * time.Millisecond)
		i := random.IntN(copies)
		switch p := fleet[i]; {
		case p == nil:
			fleet[i] = f.start(random)
		case p.suspended && time.Now().Before(p.down): // not yet
		case p.suspended:
			_ = p.cmd.Process.Signal(syscall.SIGCONT)
			p.suspended = false
			f.count(1)
		case !p.isReady() && random.IntN(3) > 0: // let most of them start
		case p.isReady() && random.IntN(2) == 0:
			f.stops++
			f.count(-1)
			_ = p.cmd.Process.Signal(syscall.SIGSTOP)
			p.suspended, p.down = true, time.Now().Add(time.Duration(random.ExpFloat64()*float64(10*time.Second)))
		default:
			f.kill(p)
			fleet[i] = nil
		}
	}
	if len(f.spans) > 0 { // what was missed at last is sent
		for i, p := range fleet {
			switch {
			case p == nil:
				fleet[i] = f.start(random)
				fleet[i].await(t)
			case p.suspended:
				_ = p.cmd.Process.Signal(syscall.SIGCONT)
				p.suspended = false
				f.count(1)
			}
		}
	}
	time.Sleep(3 * time.Second)
	close(done)
	for _, p := range fleet {
		f.kill(p)
	}
	f.check(sent, begin, end, stood(), runs)
}

// roughly is how well a process knows the time of the queue: by Dates of whole seconds. Its
// first ticks may be off by half a second, and a request is under way.
const roughly = 600 * time.Millisecond

// check compares what the queue has got with what is due.
func (f *fleet) check(sent *sends, begin, end time.Time, stood []span, runs string) {
	t := f.t
	sent.mu.Lock()
	defer sent.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	text, err := os.ReadFile(runs)
	if err != nil {
		t.Fatal(err)
	}
	ran := map[string]int{}
	for line := range strings.Lines(string(text)) {
		ran[strings.Fields(line)[0]]++
	}
	ticks, excused, twiceRun, unrun := 0, 0, 0, 0
	var late []time.Duration
	for name, of := range map[string][]cron.Option{"pace": nil, "all": nil,
		"clock": {cron.Zone("Europe/Berlin"), cron.Jitter(30 * time.Second)}} {
		s, err := cron.New(name, map[string]string{"pace": "@every 1s", "all": "@every 7s", "clock": "* * * * *"}[name], of...)
		if err != nil {
			t.Fatal(err)
		}
		for tick := range s.Ticks(begin, end) {
			ticks++
			id := s.JobID(tick)
			if n := len(sent.messages[id]); n != 1 {
				t.Errorf("%s: the queue has got %d messages of it", id, n)
				continue
			}
			if ran[id] == 0 {
				unrun++
			} else if ran[id] > 1 {
				twiceRun++
			}
			by := sent.first[id].Sub(tick.Due)
			late = append(late, by)
			if by < -roughly {
				t.Errorf("%s: it came %v early", id, -by)
			}
			if by <= time.Second {
				continue
			}
			still := slices.ContainsFunc(stood, func(s span) bool { return s.to.After(tick.Due) && s.from.Before(sent.first[id]) })
			if excused++; f.through(tick.Due.Add(-time.Second), tick.Due.Add(time.Second)) && !still {
				t.Errorf("%s: it came %v late, though a process could work", id, by)
			}
		}
	}
	slices.Sort(late)
	at := func(q float64) time.Duration {
		return late[min(int(q*float64(len(late))), len(late)-1)].Round(time.Millisecond)
	}
	t.Logf("%d ticks in %v; %d starts, %d kills, %d suspends, %d clocks that step; %d times nothing could work",
		ticks, end.Sub(begin), f.starts, f.kills, f.stops+1, f.steps, len(f.spans)-1)
	t.Logf("late by p50 %v, p99 %v, most %v; %d by more than 1 s, with no process or a machine that stood still (%d times)",
		at(.5), at(.99), at(1), excused, len(stood))
	t.Logf("%d ticks ran more than once, after a kill; %d had not run at the end", twiceRun, unrun)
}
