//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sambatech/chassis/examples/orders/gateway"
)

// The program is killed by SIGKILL at random moments, while clients place and cancel
// orders and the gateway loses answers. In the end each order is charged once, has one
// invoice and one mail of it, and nothing is left on the queue. All is real here: the
// program, its files, its connections and the time.
func TestKilledUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the program for a while")
	}
	kills := 4
	if os.Getenv("CHASSIS_SCALE") == "full" {
		kills = 30
	}
	bank := gateway.New(func() gateway.Fault {
		n := rand.IntN(20)
		return gateway.Fault{Delay: time.Duration(rand.IntN(20)) * time.Millisecond, Before: n == 0, After: n == 1}
	})
	p := newProgram(t, bank)
	p.start()
	load := &load{p: p, orders: map[string]string{}}
	stopped, stop := context.WithCancel(t.Context())
	for client := range 4 {
		load.all.Go(func() { load.run(stopped, client) })
	}
	for range kills {
		time.Sleep(500*time.Millisecond + rand.N(time.Second)) // it is killed anywhere
		p.kill()
		p.start()
	}
	time.Sleep(500 * time.Millisecond) // some load on the last process too
	stop()
	load.all.Wait()
	begun := time.Now()
	p.settle(time.Minute)
	t.Logf("%d kills under %d orders, %d of them cancelled; %d requests were tried again; the rest took %v",
		kills, len(load.orders), load.cancelled.Load(), load.again.Load(), time.Since(begun).Round(10*time.Millisecond))
	p.stop()
	load.judge(t, p.dir, bank.Books())
}

// program is the built program, and the folder that outlives its processes.
type program struct {
	t                   *testing.T
	bin, dir, api, page string
	outside             string
	cmd                 *exec.Cmd
	log                 bytes.Buffer
}

func newProgram(t *testing.T, bank http.Handler) *program {
	t.Helper()
	p := &program{t: t, dir: t.TempDir(), api: freeAddress(t), page: freeAddress(t)}
	p.bin = filepath.Join(p.dir, "orders")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", p.bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	server := httptest.NewServer(bank)
	p.outside = server.URL
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	t.Cleanup(func() {
		if p.cmd != nil {
			p.kill()
		}
		if t.Failed() {
			text := p.log.Bytes()
			t.Logf("the end of its log:\n%s", text[max(0, len(text)-10_000):])
		}
	})
	return p
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (p *program) start() {
	p.t.Helper()
	p.cmd = exec.Command(p.bin)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = p.dir, &p.log, &p.log
	others := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "CHASSIS_") })
	p.cmd.Env = append(others, "CHASSIS_LISTEN="+p.api, "CHASSIS_ADMIN__LISTEN="+p.page,
		"CHASSIS_PAYMENTS__URL="+p.outside, "CHASSIS_MAIL__URL="+p.outside, "CHASSIS_QUEUE__PATH=data/queue.db",
		"CHASSIS_TASKS__TASK_TIMEOUT=3", "CHASSIS_TASKS__WORKERS=16") // so that others get the work of the dead soon
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// kill ends the process at once, wherever it is.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.cmd = nil
}

// stop ends it as an operator does, and checks that it has ended well.
func (p *program) stop() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("its stop: %v", err)
	}
	p.cmd = nil
}

var messages = regexp.MustCompile(`(?m)^chassis_queue_messages\{.*\} (\S+)$`)

// settle waits until nothing is on the queues, among the dead letters, or unsent.
func (p *program) settle(within time.Duration) {
	p.t.Helper()
	var text string
	for begun, quiet := time.Now(), 0; quiet < 2; time.Sleep(100 * time.Millisecond) { // another process: there is nothing to wait on
		if time.Since(begun) > within {
			p.t.Fatalf("after %v there are still:\n%s", within, text)
		}
		text = p.get("http://" + p.page + "/metrics")
		empty := len(messages.FindAllString(text, -1)) >= 6 && strings.Contains(text, `chassis_outbox_rows{table="chassis_outbox"} 0`)
		for _, m := range messages.FindAllStringSubmatch(text, -1) {
			empty = empty && m[1] == "0"
		}
		text = strings.Join(messages.FindAllString(text, -1), "\n") + "\n" + p.get("http://"+p.api+"/orders?status=placed")
		if quiet++; !empty || !strings.Contains(text, `{"orders":[]}`) {
			quiet = 0
		}
	}
}

func (p *program) get(url string) string {
	res, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return string(text)
}

// load is what the clients do, and what they were promised.
type load struct {
	p                *program
	all              sync.WaitGroup
	cancelled, again atomic.Int64

	mu     sync.Mutex
	orders map[string]string // id → customer
}

// run places one order after the other, and cancels each tenth.
func (l *load) run(stopped context.Context, client int) {
	for n := 0; stopped.Err() == nil; n++ {
		customer := fmt.Sprintf("c%d-%d@example.org", client, n)
		body := fmt.Sprintf(`{"customer": %q, "items": [{"sku": "tea", "quantity": 1, "cents": %d}]}`, customer, 100+n)
		var o Order
		l.untilAnswered("/orders", customer, body, &o)
		l.mu.Lock()
		l.orders[o.ID] = customer
		l.mu.Unlock()
		if n%10 == 9 {
			l.untilAnswered("/orders/"+o.ID+"/cancel", customer, "", &o)
			l.cancelled.Add(1)
		}
		time.Sleep(rand.N(10 * time.Millisecond)) // the pace of the load, in real time as the program is
	}
}

// untilAnswered makes a request again, as a client should, until it has an answer.
func (l *load) untilAnswered(path, key, body string, into any) {
	for begun := time.Now(); time.Since(begun) < 20*time.Second; time.Sleep(20 * time.Millisecond) { // until the program is up again
		r, err := http.NewRequest(http.MethodPost, "http://"+l.p.api+path, strings.NewReader(body))
		if err != nil {
			l.p.t.Error(err)
			return
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", key)
		if res, err := http.DefaultClient.Do(r); err == nil {
			text, err := io.ReadAll(res.Body)
			res.Body.Close()
			switch {
			case res.StatusCode == http.StatusConflict: // declined before it could be cancelled
				return
			case err == nil && res.StatusCode < 300 && json.Unmarshal(text, into) == nil:
				return
			case err == nil && res.StatusCode < 500:
				l.p.t.Errorf("POST %s: %d %s", path, res.StatusCode, text)
				return
			}
		}
		l.again.Add(1)
	}
	l.p.t.Errorf("POST %s had no answer in 20 s", path)
}

// judge compares what clients were promised, the database and the gateway.
func (l *load) judge(t *testing.T, dir string, books gateway.Books) {
	store, err := openStore(t.Context(), filepath.Join(dir, "data/orders.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.db.Close()
	if err := agree(store.db, books); err != nil {
		t.Error(err)
	}
	kept, err := store.List(t.Context(), "", "", 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	if len(kept) != len(l.orders) {
		t.Errorf("%d orders are kept, %d were promised", len(kept), len(l.orders))
	}
	counts := map[Status]int{}
	for _, o := range kept {
		counts[o.Status]++
		invoices := books.Mails[gateway.Mail{To: o.Customer, Subject: "Your invoice"}]
		if l.orders[o.ID] != o.Customer {
			t.Errorf("order %s of %s was promised to %q", o.ID, o.Customer, l.orders[o.ID])
		}
		if o.Status == Paid && (invoices != 1 || books.Cents[o.ID] != o.Cents) || invoices > 1 {
			t.Errorf("order %s is %s, %d cents, paid %d, with %d mails of its invoice", o.ID, o.Status, o.Cents, books.Cents[o.ID], invoices)
		}
	}
	t.Logf("orders by status: %v. The gateway has failed %d requests, and has seen %d keys again", counts, books.Faults, books.Repeats)
}
