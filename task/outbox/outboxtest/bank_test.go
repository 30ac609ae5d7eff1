//go:build unix

package outboxtest

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/outbox"
)

// The variables by which this test binary becomes a process of the bank.
const (
	bankEndpoint  = "OUTBOXTEST_ENDPOINT"
	bankDialect   = "OUTBOXTEST_DIALECT"
	bankDriver    = "OUTBOXTEST_DRIVER"
	bankDSN       = "OUTBOXTEST_DSN"
	bankFailpoint = "OUTBOXTEST_FAILPOINT" // empty: none, and no client
	processRole   = "OUTBOXTEST_ROLE"
)

const (
	accounts = 100
	money    = 1000 // of each account at first
)

type transferArgs struct {
	ID       string
	From, To int
	Amount   int
}

var (
	transfer = task.Define[transferArgs]("transfer", task.MaxFailures(1000), task.Wait(50*time.Millisecond, task.None))
	receipt  = task.Define[string]("receipt", task.MaxFailures(1000), task.Wait(50*time.Millisecond, task.None))
)

// process is a process of a test, which its failpoint kills.
type process struct {
	sys     *chassis.System
	box     *outbox.Box
	db      *sql.DB
	dialect outbox.Dialect
	point   *failpoint // nil: none
}

// newProcess makes what the variables of this process say.
func newProcess(pool string) (*process, error) {
	n, err := strconv.Atoi(os.Getenv(bankDialect))
	if err != nil {
		return nil, err
	}
	p := &process{dialect: outbox.Dialect(n)}
	if name := os.Getenv(bankFailpoint); name != "" {
		if p.point, err = failpointName(name).parse(); err != nil {
			return nil, err
		}
	}
	if p.db, err = failing(os.Getenv(bankDriver), os.Getenv(bankDSN), p.point); err != nil {
		return nil, err
	}
	p.db.SetMaxOpenConns(12)
	if p.box, err = outbox.New(p.db, p.dialect); err != nil {
		return nil, err
	}
	set := chassis.DefaultSettings()
	set.Queue.Endpoint, set.Queue.Region = os.Getenv(bankEndpoint), "us-east-1"
	set.Tasks.TaskPool, set.Tasks.TaskTimeout, set.Tasks.Workers = pool, 2*time.Second, 4
	set.Log.Level = "critical"
	p.sys, err = chassis.New(pool, chassis.WithSettings(set), chassis.WithLogOutput(io.Discard))
	return p, err
}

// bankProcess is a worker, a relay and a client of the bank in one process, which its
// failpoint kills.
func bankProcess() error {
	p, err := newProcess("bank")
	if err != nil {
		return err
	}
	sys, box, db, d := p.sys, p.box, p.db, p.dialect
	chassis.Handle(sys, transfer, func(ctx context.Context, job task.Job[transferArgs]) error {
		return box.Once(ctx, job.Info, func(tx *sql.Tx) error { return move(ctx, box, tx, d, job.Args) })
	})
	chassis.Handle(sys, receipt, func(ctx context.Context, job task.Job[string]) error {
		return box.Once(ctx, job.Info, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, bind(d, "INSERT INTO receipts (id) VALUES (?)"), job.Args)
			return err
		})
	})
	sys.Add("outbox", box.Relay(sys, outbox.Settings{Poll: 20 * time.Millisecond, SendTimeout: time.Second, Batch: 10}))
	if p.point != nil {
		sys.Go("client", func(ctx context.Context) error { client(ctx, box, db, d); return nil })
	}
	sys.OnStop("database", func(context.Context) error { return db.Close() })
	return sys.Run(context.Background())
}

// move is the effect of a transfer: its two bookings, a line of the journal, and a task
// of its own. The account with the lower number is booked first, so none waits in a circle.
func move(ctx context.Context, box *outbox.Box, tx *sql.Tx, d outbox.Dialect, t transferArgs) error {
	debit := func() error {
		_, err := tx.ExecContext(ctx, bind(d, "UPDATE accounts SET balance = balance - ? WHERE id = ?"), t.Amount, t.From)
		return err
	}
	credit := func() error {
		_, err := tx.ExecContext(ctx, bind(d, "UPDATE accounts SET balance = balance + ? WHERE id = ?"), t.Amount, t.To)
		return err
	}
	first, second := debit, credit
	if t.To < t.From {
		first, second = credit, debit
	}
	if err := first(); err != nil {
		return err
	}
	if err := second(); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, bind(d, "INSERT INTO effects (id) VALUES (?)"), t.ID); err != nil {
		return err
	}
	_, err := outbox.Send(ctx, box, tx, receipt, t.ID)
	return err
}

// client orders transfers until ctx ends. One in four is rolled back.
func client(ctx context.Context, box *outbox.Box, db *sql.DB, d outbox.Dialect) {
	for ctx.Err() == nil {
		_ = order(ctx, box, db, d) // a failpoint's error
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond): // the pace of the load
		}
	}
}

func order(ctx context.Context, box *outbox.Box, db *sql.DB, d outbox.Dialect) error {
	t := transferArgs{uuid.NewString(), 1 + rand.IntN(accounts), 1 + rand.IntN(accounts), 1 + rand.IntN(50)}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, bind(d, "INSERT INTO intents (id) VALUES (?)"), t.ID); err != nil {
		return err
	}
	if _, err := outbox.Send(ctx, box, tx, transfer, t); err != nil {
		return err
	}
	if rand.IntN(4) == 0 {
		return nil
	}
	return tx.Commit()
}

// TestBank kills processes at each boundary of a statement, and cuts connections there.
// The sum of the accounts does not differ, each transfer that was committed has its
// effect once, and so has the task that it sends; none that was rolled back has one. At
// full size each boundary of the list is killed and cut.
func TestBank(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		db.box(t)
		key := "VARCHAR(40)"
		db.exec(t, "CREATE TABLE accounts (id INT PRIMARY KEY, balance INT NOT NULL)")
		db.exec(t, "CREATE TABLE intents (id "+key+" PRIMARY KEY)")
		db.exec(t, "CREATE TABLE effects (id "+key+")") // a second effect would be a second row
		db.exec(t, "CREATE TABLE receipts (id "+key+")")
		for i := range accounts {
			db.exec(t, "INSERT INTO accounts VALUES (?, ?)", i+1, money)
		}
		srv := queueServer(t)
		endpoint, err := srv.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		b := &bank{t: t, db: db, endpoint: endpoint}
		b.done = func() bool {
			return db.count(t, "SELECT count(*) FROM chassis_outbox") == 0 &&
				db.count(t, "SELECT count(*) FROM intents") <= db.count(t, "SELECT count(*) FROM receipts")
		}
		points := b.points()
		b.runAll(points)
		b.settle()
		b.check(len(points))
	})
}

// runAll runs a process for each failpoint, two at a time.
func (b *bank) runAll(points []string) {
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Duration(len(points))*20*time.Second)
	defer cancel()
	work := make(chan string, len(points))
	for _, p := range points {
		work <- p
	}
	close(work)
	var processes sync.WaitGroup
	for range 2 {
		processes.Go(func() {
			for p := range work {
				b.run(ctx, p)
			}
		})
	}
	processes.Wait()
}

// bank is a test with processes.
type bank struct {
	t        *testing.T
	db       *database
	endpoint string
	role     string      // of its processes, "" for the bank's
	done     func() bool // all that was ordered has had its effect

	mu     sync.Mutex
	killed int
	cut    int
}

// points returns the failpoints of a run.
func (b *bank) points() (points []string) {
	for i, class := range classes {
		if class == "receipt" && b.db.dialect == outbox.SQLite {
			continue // it would be the same statement as any other
		}
		for _, when := range []string{"before", "after"} {
			for _, how := range []string{"kill", "cut"} {
				points = append(points, fmt.Sprintf("%s:%s:%s:%d", class, when, how, 3+i%3))
			}
		}
	}
	if os.Getenv("CHASSIS_SCALE") == "full" {
		return append(points, points...)
	}
	// The two that matter most: the acknowledgement before the delete, and the commit
	// without an answer.
	if f := os.Getenv("BANK_POINTS"); f != "" {
		return strings.Fields(f)
	}
	few := []string{"delete:before:kill:3", "commit-task:after:cut:3"}
	for range 2 {
		few = append(few, points[rand.IntN(len(points))])
	}
	return few
}

func (b *bank) command(ctx context.Context, point string) (*exec.Cmd, *bytes.Buffer) {
	dsn := b.db.dsn
	if b.db.dialect == outbox.MySQL {
		dsn += "?interpolateParams=true"
	}
	var out bytes.Buffer
	c := exec.CommandContext(ctx, os.Args[0])
	c.Env = append(os.Environ(), bankEndpoint+"="+b.endpoint, bankDialect+"="+strconv.Itoa(int(b.db.dialect)),
		bankDriver+"="+b.db.driver, bankDSN+"="+dsn, bankFailpoint+"="+point, processRole+"="+b.role,
		"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local")
	c.Stderr, c.Stdout = &out, &out
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGQUIT) } // its stacks say what it waits for
	c.WaitDelay = 5 * time.Second
	return c, &out
}

// run runs a process until its failpoint kills it, or for a moment after a cut.
func (b *bank) run(ctx context.Context, point string) {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	kill := strings.Contains(point, ":kill:")
	c, out := b.command(ctx, point)
	seen := &watched{all: out, hit: make(chan struct{})}
	c.Stderr = seen
	if err := c.Start(); err != nil {
		b.t.Error(err)
		return
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	if !kill {
		select {
		case <-seen.hit:
			time.Sleep(300 * time.Millisecond) // it works on after the cut
			_ = c.Process.Signal(syscall.SIGTERM)
		case <-ctx.Done():
		}
	}
	err := <-ended
	status, _ := c.ProcessState.Sys().(syscall.WaitStatus)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		b.t.Errorf("%s was not reached: %s", point, seen.text())
	case kill && status.Signaled():
		b.killed++
	case !kill && err == nil:
		b.cut++
	default:
		b.t.Errorf("%s: the process ended with %v: %s", point, err, seen.text())
	}
}

// watched is an output in which a failpoint says that it was reached.
type watched struct {
	mu   sync.Mutex
	all  *bytes.Buffer // not embedded: its ReadFrom would pass Write by
	hit  chan struct{}
	once sync.Once
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.all.Write(p)
	if strings.Contains(w.all.String(), "failpoint ") {
		w.once.Do(func() { close(w.hit) })
	}
	return n, err
}

func (w *watched) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.String()
}

// settle runs a process without a failpoint until all work is done.
func (b *bank) settle() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 3*time.Minute)
	defer cancel()
	c, out := b.command(ctx, "")
	if err := c.Start(); err != nil {
		b.t.Fatal(err)
	}
	for ctx.Err() == nil && !b.done() {
		time.Sleep(100 * time.Millisecond) // processes of their own
	}
	time.Sleep(2500 * time.Millisecond) // a lease: what is still on the queue would run a second time now
	_ = c.Process.Signal(syscall.SIGTERM)
	if err := c.Wait(); err != nil {
		b.t.Errorf("the last process ended with %v: %s", err, out)
	}
}

func (b *bank) check(points int) {
	count := func(query string) int { b.t.Helper(); return b.db.count(b.t, query) }
	intents := count("SELECT count(*) FROM intents")
	if sum := count("SELECT sum(balance) FROM accounts"); sum != accounts*money {
		b.t.Errorf("the sum is %d, was %d", sum, accounts*money)
	}
	for _, table := range []string{"effects", "receipts"} {
		if n := count("SELECT count(*) FROM (SELECT id FROM " + table + " GROUP BY id HAVING count(*) > 1) d"); n != 0 {
			b.t.Errorf("%d transfers have several %s", n, table)
		}
		if n := count("SELECT count(*) FROM intents WHERE id NOT IN (SELECT id FROM " + table + ")"); n != 0 {
			b.t.Errorf("%d of %d committed transfers have no %s", n, intents, table)
		}
		if n := count("SELECT count(*) FROM " + table + " WHERE id NOT IN (SELECT id FROM intents)"); n != 0 {
			b.t.Errorf("%d transfers that were rolled back have %s", n, table)
		}
	}
	if n := count("SELECT count(*) FROM chassis_outbox_aside"); n != 0 {
		b.t.Errorf("%d rows were set aside", n)
	}
	if b.killed+b.cut != points || intents == 0 {
		b.t.Errorf("%d kills and %d cuts of %d, %d transfers", b.killed, b.cut, points, intents)
	}
	b.t.Logf("%d kills, %d cuts, %d transfers committed", b.killed, b.cut, intents)
}
