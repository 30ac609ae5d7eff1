package chassistest_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/chassistest/internal/memsql"
	"github.com/sambatech/chassis/task"
)

// bank is a service that books charges, and takes a key.
type bank struct {
	mu      sync.Mutex
	charges []string
	keys    map[string]bool
}

func newBank() *bank { return &bank{keys: map[string]bool{}} }

func (b *bank) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if key := r.Header.Get("Idempotency-Key"); key == "" || !b.keys[key] {
		b.keys[key] = true
		b.charges = append(b.charges, string(body))
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

type fee struct{ Cents int }

var (
	chargeTask  = task.Define[fee]("charge", task.MaxFailures(3))
	receiptTask = task.Define[fee]("receipt")
)

const bankURL = "https://bank.test/charges"

// call makes a request and reads its answer as a handler should.
func call(ctx context.Context, client *http.Client, method, url, key, body string) error {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewBufferString(body))
	if err != nil {
		return err
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return errors.New(res.Status)
	}
	return nil
}

// store is what the handlers of these tests work with.
type store struct {
	*chassistest.RerunProcess
	client *http.Client
	db     *sql.DB
	memory map[string]bool // of the process
}

type storeHandler func(ctx context.Context, s *store, job task.Job[fee]) error

// storeWorld is a world of a bank and a database, with one handler.
func storeWorld(handle storeHandler, withState bool) func(*chassistest.Rerun) {
	return func(r *chassistest.Rerun) {
		b, db := newBank(), memsql.New("done (id)", "orders (id, cents, status)", "accounts (id, cents)")
		seed := sql.OpenDB(db)
		if _, err := seed.Exec("INSERT INTO accounts (id, cents) VALUES ('a', 1000)"); err != nil {
			r.TB().Fatal(err)
		}
		if err := seed.Close(); err != nil {
			r.TB().Fatal(err)
		}
		r.TB().Cleanup(func() {
			if n := db.Open(); n != 0 {
				r.TB().Errorf("%d connections are left open", n)
			}
		})
		r.Process(func(p *chassistest.RerunProcess) {
			s := &store{p, p.Client(b), p.DB(db), map[string]bool{}}
			chassis.Handle(p.System, chargeTask, func(ctx context.Context, job task.Job[fee]) error {
				return handle(ctx, s, job)
			})
			chassis.Handle(p.System, receiptTask, func(context.Context, task.Job[fee]) error { return nil })
		})
		if withState {
			r.State(func() any { return []any{db.Rows("orders"), db.Rows("accounts")} })
		}
		chassistest.Message(r, chargeTask, fee{500})
		chassistest.Message(r, receiptTask, fee{500})
	}
}

// inTx runs f in a transaction.
func inTx(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func exec(ctx context.Context, tx *sql.Tx, query string, args ...any) (int64, error) {
	res, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

const (
	addOrder  = "INSERT INTO orders (id, cents, status) VALUES (?, ?, 'new')"
	keepOrder = addOrder + " ON CONFLICT DO NOTHING"
	take      = "UPDATE accounts SET cents = cents - ? WHERE id = 'a'"
	markDone  = "INSERT INTO done (id) VALUES (?) ON CONFLICT DO NOTHING"
)

// wrongTwice are handlers that are not safe to run twice, each in a way of its own, and
// what is accused.
var wrongTwice = map[string]struct {
	want   chassistest.AccusationKind
	advice string // a part of it
	state  bool
	handle storeHandler
}{
	"a request without a key": {chassistest.Repeated, "Idempotency-Key", false,
		func(ctx context.Context, s *store, job task.Job[fee]) error {
			return call(ctx, s.client, http.MethodPost, bankURL, "", "500")
		}},
	"a key that is made up in the run": {chassistest.Repeated, "another one in each run", false,
		func(ctx context.Context, s *store, job task.Job[fee]) error {
			return call(ctx, s.client, http.MethodPost, bankURL, uuid.NewString(), "500")
		}},
	"a key used for another body": {chassistest.Repeated, "the body is not", false,
		func(ctx context.Context, s *store, job task.Job[fee]) error {
			return call(ctx, s.client, http.MethodPost, bankURL, job.ExecID, time.Now().String())
		}},
	"an object with a made-up name": {chassistest.Repeated, "another name in each run", false,
		func(ctx context.Context, s *store, job task.Job[fee]) error {
			return call(ctx, s.client, http.MethodPut, "https://store.test/"+uuid.NewString(), "", "500")
		}},
	"a task with a made-up exec_id": {chassistest.Repeated, "task.ExecID", false,
		func(ctx context.Context, s *store, job task.Job[fee]) error {
			_, err := chassis.Send(ctx, s.System, receiptTask, job.Args)
			return err
		}},
	"a mail without a key": {chassistest.Repeated, "job.ExecID", false,
		func(ctx context.Context, s *store, job task.Job[fee]) error {
			return s.Do(ctx, "mail to a@example.org", "", func() error { return nil })
		}},
	"a change relative to the row, by its text": {chassistest.Repeated, "values from arguments", false,
		func(ctx context.Context, s *store, job task.Job[fee]) error {
			_, err := s.db.ExecContext(ctx, take, job.Args.Cents)
			return err
		}},
	"a change relative to the row, by the state": {chassistest.StateDiffers, "job.ExecID", true,
		func(ctx context.Context, s *store, job task.Job[fee]) error {
			_, err := s.db.ExecContext(ctx, take, job.Args.Cents)
			return err
		}},
	"a row with a made-up key": {chassistest.Repeated, "unique key from job.ExecID", false,
		func(ctx context.Context, s *store, job task.Job[fee]) error {
			_, err := s.db.ExecContext(ctx, keepOrder, uuid.NewString(), job.Args.Cents)
			return err
		}},
	"a row that is there makes the second run fail": {chassistest.Unfinished, "is no error", false,
		func(ctx context.Context, s *store, job task.Job[fee]) error {
			_, err := s.db.ExecContext(ctx, addOrder, job.ExecID, job.Args.Cents)
			return err
		}},
	"sent before the commit": {chassistest.TooEarly, "after the commit", false,
		func(ctx context.Context, s *store, job task.Job[fee]) error {
			return inTx(ctx, s.db, func(tx *sql.Tx) error {
				if _, err := exec(ctx, tx, keepOrder, job.ExecID, job.Args.Cents); err != nil {
					return err
				}
				_, err := chassis.Send(ctx, s.System, receiptTask, job.Args, task.ExecID(job.ExecID+"/receipt"))
				return err
			})
		}},
	"sent after the commit, and not by the second run": {chassistest.Lost, "after it was done", false,
		func(ctx context.Context, s *store, job task.Job[fee]) error {
			again := false
			if err := inTx(ctx, s.db, func(tx *sql.Tx) error {
				n, err := exec(ctx, tx, keepOrder, job.ExecID, job.Args.Cents)
				again = n == 0
				return err
			}); err != nil || again {
				return err
			}
			_, err := chassis.Send(ctx, s.System, receiptTask, job.Args, task.ExecID(job.ExecID+"/receipt"))
			return err
		}},
	"marked as done before it is done": {chassistest.Lost, "after it was done", false,
		func(ctx context.Context, s *store, job task.Job[fee]) error {
			res, err := s.db.ExecContext(ctx, markDone, job.ExecID)
			if err != nil {
				return err
			}
			if n, err := res.RowsAffected(); err != nil || n == 0 {
				return err
			}
			return call(ctx, s.client, http.MethodPost, bankURL, job.ExecID, "500")
		}},
	"what was done is known in memory alone": {chassistest.Repeated, "Idempotency-Key", false,
		func(ctx context.Context, s *store, job task.Job[fee]) error {
			if s.memory[job.ExecID] {
				return nil
			}
			s.memory[job.ExecID] = true
			return call(ctx, s.client, http.MethodPost, bankURL, "", "500")
		}},
	"an error is swallowed": {chassistest.Lost, "return every error", false,
		func(ctx context.Context, s *store, job task.Job[fee]) error {
			_ = call(ctx, s.client, http.MethodPost, bankURL, job.ExecID, "500")
			return nil
		}},
	"the status of an answer is not looked at": {chassistest.Lost, "the status of an answer", false,
		func(ctx context.Context, s *store, job task.Job[fee]) error {
			r, err := http.NewRequestWithContext(ctx, http.MethodPut, bankURL, strings.NewReader("500"))
			if err != nil {
				return err
			}
			res, err := s.client.Do(r)
			if err != nil {
				return err
			}
			return res.Body.Close()
		}},
	"a commit that fails is not looked at": {chassistest.Lost, "return every error", false,
		func(ctx context.Context, s *store, job task.Job[fee]) error {
			tx, err := s.db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			if _, err := exec(ctx, tx, keepOrder, job.ExecID, job.Args.Cents); err != nil {
				return errors.Join(err, tx.Rollback())
			}
			_ = tx.Commit()
			return nil
		}},
	"a goroutine that nothing waits for": {chassistest.NotAwaited, "wait for it", false,
		func(ctx context.Context, s *store, job task.Job[fee]) error {
			go func() {
				_ = call(context.WithoutCancel(ctx), s.client, http.MethodPost, bankURL, job.ExecID, "500")
			}()
			return nil
		}},
	"work in a timer": {chassistest.NotAwaited, "wait for it", false,
		func(ctx context.Context, s *store, job task.Job[fee]) error {
			time.AfterFunc(10*time.Second, func() {
				_ = call(context.Background(), s.client, http.MethodPost, bankURL, job.ExecID, "500")
			})
			return nil
		}},
}

func TestTwiceFindsWrongHandlers(t *testing.T) {
	for name, c := range wrongTwice {
		t.Run(name, func(t *testing.T) {
			found, err := chassistest.Explore(t, storeWorld(c.handle, c.state))
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(found, func(f chassistest.Accusation) bool { return f.Kind == c.want })
			if i < 0 {
				t.Fatalf("%d findings, but not %q: %v", len(found), c.want, found)
			}
			if text := found[i].String(); !strings.Contains(text, c.advice) || !strings.Contains(text, `task "charge"`) {
				t.Errorf("the finding says: %s", text)
			}
			for _, f := range found {
				t.Log(f)
			}
		})
	}
}

// rightTwice are handlers that are safe to run twice.
var rightTwice = map[string]storeHandler{
	"the key of the task": func(ctx context.Context, s *store, job task.Job[fee]) error {
		return call(ctx, s.client, http.MethodPost, bankURL, job.ExecID, "500")
	},
	"two requests with a key each": func(ctx context.Context, s *store, job task.Job[fee]) error {
		return errors.Join(call(ctx, s.client, http.MethodPost, bankURL, job.ExecID+"/1", "500"),
			call(ctx, s.client, http.MethodPost, bankURL, job.ExecID+"/2", "500"))
	},
	"methods that may be repeated": func(ctx context.Context, s *store, job task.Job[fee]) error {
		return errors.Join(call(ctx, s.client, http.MethodGet, bankURL, "", ""),
			call(ctx, s.client, http.MethodPut, "https://store.test/"+job.ExecID, "", time.Now().String()),
			call(ctx, s.client, http.MethodDelete, "https://store.test/old", "", ""))
	},
	"nothing": func(context.Context, *store, task.Job[fee]) error { return nil },
	"a mark and the work in one transaction": func(ctx context.Context, s *store, job task.Job[fee]) error {
		return inTx(ctx, s.db, func(tx *sql.Tx) error {
			if n, err := exec(ctx, tx, markDone, job.ExecID); err != nil || n == 0 {
				return err
			}
			if _, err := exec(ctx, tx, addOrder, job.ExecID, job.Args.Cents); err != nil {
				return err
			}
			_, err := exec(ctx, tx, take, job.Args.Cents)
			return err
		})
	},
	"sent after the commit, by the second run too": func(ctx context.Context, s *store, job task.Job[fee]) error {
		if _, err := s.db.ExecContext(ctx, keepOrder, job.ExecID, job.Args.Cents); err != nil {
			return err
		}
		_, err := chassis.Send(ctx, s.System, receiptTask, job.Args, task.ExecID(job.ExecID+"/receipt"))
		return err
	},
	"many tasks in one request": func(ctx context.Context, s *store, job task.Job[fee]) error {
		var many []chassis.Task
		for i := range 3 {
			many = append(many, chassis.Task{Name: receiptTask.Name(), Args: job.Args,
				Options: []task.Option{task.ExecID(fmt.Sprint(job.ExecID, "/", i))}})
		}
		_, err := s.System.SendMany(ctx, many)
		return err
	},
	"written down, then made, then marked": func(ctx context.Context, s *store, job task.Job[fee]) error {
		if _, err := s.db.ExecContext(ctx, keepOrder, job.ExecID, job.Args.Cents); err != nil {
			return err
		}
		var status string
		if err := s.db.QueryRowContext(ctx, "SELECT status FROM orders WHERE id = ?", job.ExecID).Scan(&status); err != nil {
			return err
		}
		if status == "paid" {
			return nil
		}
		if err := call(ctx, s.client, http.MethodPost, bankURL, job.ExecID, "500"); err != nil {
			return err
		}
		_, err := s.db.ExecContext(ctx, "UPDATE orders SET status = 'paid' WHERE id = ?", job.ExecID)
		return err
	},
	"a goroutine that is waited for": func(ctx context.Context, s *store, job task.Job[fee]) error {
		failed := make(chan error)
		go func() { failed <- call(ctx, s.client, http.MethodPost, bankURL, job.ExecID, "500") }()
		return <-failed
	},
	"a mail with a key": func(ctx context.Context, s *store, job task.Job[fee]) error {
		return s.Do(ctx, "mail to a@example.org", job.ExecID, func() error { return nil })
	},
	"a prepared statement": func(ctx context.Context, s *store, job task.Job[fee]) error {
		st, err := s.db.PrepareContext(ctx, keepOrder)
		if err != nil {
			return err
		}
		_, err = st.ExecContext(ctx, job.ExecID, job.Args.Cents)
		return errors.Join(err, st.Close())
	},
	"a transaction that ends with its ctx": func(ctx context.Context, s *store, job task.Job[fee]) error {
		ctx, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		return inTx(ctx, s.db, func(tx *sql.Tx) error {
			_, err := exec(ctx, tx, keepOrder, job.ExecID, job.Args.Cents)
			return err
		})
	},
}

func TestTwiceAcceptsRightHandlers(t *testing.T) {
	for name, handle := range rightTwice {
		for _, state := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, state %v", name, state), func(t *testing.T) {
				chassistest.Twice(t, storeWorld(handle, state))
			})
		}
	}
}

func TestTwiceInRealTime(t *testing.T) {
	handlers := map[string]storeHandler{"wrong": wrongTwice["a request without a key"].handle}
	if os.Getenv("CHASSIS_SCALE") == "full" { // each takes a quarter of a minute
		handlers["right"] = rightTwice["the key of the task"]
	}
	for name, handle := range handlers {
		t.Run(name, func(t *testing.T) {
			world := func(r *chassistest.Rerun) {
				r.Settings(func(s *chassis.Settings) { s.Tasks.HoldLimit = time.Second })
				b := newBank()
				r.Process(func(p *chassistest.RerunProcess) {
					s := &store{RerunProcess: p, client: p.Client(b)}
					quick := task.Define[fee]("charge", task.Wait(50*time.Millisecond, task.None))
					chassis.Handle(p.System, quick, func(ctx context.Context, job task.Job[fee]) error {
						return handle(ctx, s, job)
					})
				})
				chassistest.Message(r, chargeTask, fee{500})
			}
			found, err := chassistest.Explore(t, world, chassistest.RealTime())
			if err != nil {
				t.Fatal(err)
			}
			if want := map[string]int{"right": 0, "wrong": 1}[name]; len(found) != want {
				t.Errorf("%d findings, want %d: %v", len(found), want, found)
			}
		})
	}
}

func TestTwiceOfATaskActor(t *testing.T) {
	found, err := chassistest.Explore(t, func(r *chassistest.Rerun) {
		b := newBank()
		r.Process(func(p *chassistest.RerunProcess) {
			client := p.Client(b)
			props := actor.PropsFromFunc(func(c actor.Context) {
				if m, ok := c.Message().(*dispatcher.Execute); ok {
					if err := call(m.Ctx, client, http.MethodPost, bankURL, "", "500"); err != nil {
						c.Respond(dispatcher.Failed{Err: err})
						return
					}
					c.Respond(dispatcher.Done{})
				}
			})
			p.System.Register("actor", props, task.Deadline(time.Minute))
		})
		r.NamedMessage("actor", fee{500})
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || found[0].Kind != chassistest.Repeated {
		t.Errorf("%d findings: %v", len(found), found)
	}
}

func TestTwiceOnAFIFOPool(t *testing.T) {
	ordered := task.Define[fee]("charge", task.Wait(time.Second, task.None))
	for name, want := range map[string]int{"with a deduplication id": 0, "without": 1} {
		t.Run(name, func(t *testing.T) {
			found, err := chassistest.Explore(t, func(r *chassistest.Rerun) {
				r.Settings(func(s *chassis.Settings) { s.Tasks.TaskPool = "orders.fifo" })
				r.Process(func(p *chassistest.RerunProcess) {
					chassis.Handle(p.System, ordered, func(ctx context.Context, job task.Job[fee]) error {
						opts := []task.Option{task.Group("a")}
						if want == 0 {
							opts = append(opts, task.Dedup(job.ExecID+"/receipt"))
						}
						_, err := chassis.Send(ctx, p.System, receiptTask, job.Args, opts...)
						return err
					})
					chassis.Handle(p.System, receiptTask, func(context.Context, task.Job[fee]) error { return nil })
				})
				chassistest.Message(r, ordered, fee{500}, task.Group("a"))
				chassistest.Message(r, receiptTask, fee{500}, task.Group("a"))
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(found) != want {
				t.Errorf("%d findings, want %d: %v", len(found), want, found)
			}
		})
	}
}

func TestTwiceSaysWhatItCannotTry(t *testing.T) {
	for name, c := range map[string]struct {
		define func(r *chassistest.Rerun)
		want   string
	}{
		"a handler without a message": {func(r *chassistest.Rerun) {
			storeWorld(rightTwice["nothing"], false)(r)
			old := r
			old.Process(func(p *chassistest.RerunProcess) {
				chassis.Handle(p.System, chargeTask, func(context.Context, task.Job[fee]) error { return nil })
				chassis.Handle(p.System, task.Define[fee]("other"), func(context.Context, task.Job[fee]) error { return nil })
			})
		}, `no message for the handler of "other"`},
		"a handler that fails": {storeWorld(func(context.Context, *store, task.Job[fee]) error {
			return errors.New("no such customer")
		}, false), "no such customer"},
		"no process": {func(*chassistest.Rerun) {}, "call Rerun.Process"},
		"a state without JSON": {func(r *chassistest.Rerun) {
			storeWorld(rightTwice["nothing"], false)(r)
			r.State(func() any { return func() {} })
		}, "State has no JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := chassistest.Explore(t, c.define)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestTwiceAllows(t *testing.T) {
	chassistest.Twice(t, func(r *chassistest.Rerun) {
		storeWorld(wrongTwice["a request without a key"].handle, false)(r)
		r.Allow(func(f chassistest.Accusation) bool { // the bank books a charge of this customer once a day
			return f.Kind == chassistest.Repeated && strings.HasPrefix(f.Effect.Name, "POST "+bankURL)
		})
	})
}

func TestTwiceInABubbleIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if _, err := chassistest.Explore(t, storeWorld(rightTwice["nothing"], false)); err == nil {
			t.Error("it was accepted")
		}
	})
}
