//go:build unix

package outboxtest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/outbox"
	"github.com/sambatech/chassis/task/outbox/pgxoutbox"
)

// stampArgs are those of river's job and of ours: when the transaction had committed is
// found by the id.
type stampArgs struct {
	ID   int    `json:"id"`
	Text string `json:"text"`
}

func (stampArgs) Kind() string { return "stamp" }

var stamp = task.Define[stampArgs]("stamp")

// side is one of those that are compared, on a PostgreSQL of its own database.
type side struct {
	pool   *pgxpool.Pool
	db     *database
	insert func(ctx context.Context, tx pgx.Tx, args stampArgs) error
	ran    func(id int) // called by the handler
}

// in runs a transaction with one row of business and one task.
func (s *side) in(ctx context.Context, id int) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO business (id) VALUES ($1)", id); err != nil {
			return err
		}
		return s.insert(ctx, tx, stampArgs{id, "forty characters of text, as a task has."})
	})
}

func newSide(b *testing.B) *side {
	db := newDatabase(b, outbox.PostgreSQL)
	db.exec(b, "CREATE TABLE business (id INT PRIMARY KEY)")
	pool, err := pgxpool.New(b.Context(), db.dsn+"&pool_max_conns=30")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return &side{pool: pool, db: db, ran: func(int) {}}
}

// newOutbox is ours, with relays. listen says how they hear of rows. start starts them.
func newOutbox(b *testing.B, relays int, listen bool) (s *side, start func()) {
	s = newSide(b)
	box := s.db.box(b, outbox.Pool("jobs"))
	s.insert = func(ctx context.Context, tx pgx.Tx, args stampArgs) error {
		_, err := outbox.Send(ctx, box, pgxoutbox.Tx(tx), stamp, args)
		return err
	}
	return s, func() {
		sys := newService(b, queueServer(b), func(set *chassis.Settings) { set.Tasks.Workers = 100 })
		chassis.Handle(sys.System, stamp, func(_ context.Context, job task.Job[stampArgs]) error {
			s.ran(job.Args.ID)
			return nil
		})
		for i := range relays {
			var opts []outbox.RelayOption
			if listen {
				opts = append(opts, outbox.WithListener(pgxoutbox.Listener(s.db.dsn, outbox.DefaultTable)))
			}
			sys.Add(fmt.Sprintf("outbox %d", i), box.Relay(sys, outbox.Settings{}, opts...))
		}
		sys.start(b)
	}
}

type stampWorker struct {
	river.WorkerDefaults[stampArgs]
	side *side
}

func (w *stampWorker) Work(_ context.Context, job *river.Job[stampArgs]) error {
	w.side.ran(job.Args.ID)
	return nil
}

// newRiver is river with its defaults and as many workers.
func newRiver(b *testing.B) (s *side, start func()) {
	s = newSide(b)
	migrator, err := rivermigrate.New(riverpgxv5.New(s.pool), nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := migrator.Migrate(b.Context(), rivermigrate.DirectionUp, nil); err != nil {
		b.Fatal(err)
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &stampWorker{side: s})
	client, err := river.NewClient(riverpgxv5.New(s.pool), &river.Config{Workers: workers,
		Logger: slog.New(slog.DiscardHandler),
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 100}}})
	if err != nil {
		b.Fatal(err)
	}
	s.insert = func(ctx context.Context, tx pgx.Tx, args stampArgs) error {
		_, err := client.InsertTx(ctx, tx, args, nil)
		return err
	}
	return s, func() {
		if err := client.Start(context.WithoutCancel(b.Context())); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			end, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if err := client.Stop(end); err != nil {
				b.Error(err)
			}
		})
	}
}

// fill commits b.N transactions from eight goroutines.
func (s *side) fill(b *testing.B) {
	var next atomic.Int64
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for {
				id := int(next.Add(1))
				if id > b.N {
					return
				}
				if err := s.in(b.Context(), id); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
}

// BenchmarkInsert commits transactions of one business row and one task.
func BenchmarkInsert(b *testing.B) {
	for name, make := range map[string]func(*testing.B) *side{
		"outbox": func(b *testing.B) *side { s, _ := newOutbox(b, 0, false); return s },
		"river":  func(b *testing.B) *side { s, _ := newRiver(b); return s },
	} {
		b.Run(name, func(b *testing.B) {
			s := make(b)
			b.ResetTimer()
			s.fill(b)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
		})
	}
}

// BenchmarkRelay moves rows that wait to the queue, until the table is empty. The
// handlers that take them off the queue run at the same time.
func BenchmarkRelay(b *testing.B) {
	for _, relays := range []int{1, 8} {
		b.Run(fmt.Sprintf("relays=%d", relays), func(b *testing.B) {
			s, start := newOutbox(b, relays, true)
			s.fill(b)
			b.ResetTimer()
			start()
			for n := 1; n > 0; time.Sleep(time.Millisecond) {
				n = s.db.count(b, "SELECT count(*) FROM (SELECT 1 FROM chassis_outbox LIMIT 1) one")
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
	b.Run("river", func(b *testing.B) { // to the workers: there is no queue between
		s, start := newRiver(b)
		var ran atomic.Int64
		s.ran = func(int) { ran.Add(1) }
		s.fill(b)
		b.ResetTimer()
		start()
		for ran.Load() < int64(b.N) {
			time.Sleep(time.Millisecond)
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}

// BenchmarkLatency measures from the commit to the start of the handler, at 100
// transactions a second.
func BenchmarkLatency(b *testing.B) {
	type variant struct {
		name string
		make func(*testing.B) (*side, func())
	}
	all := []variant{{"river", newRiver}}
	for _, relays := range []int{1, 8} {
		for name, listen := range map[string]bool{"listen": true, "poll": false} {
			all = append(all, variant{fmt.Sprintf("%s/relays=%d", name, relays),
				func(b *testing.B) (*side, func()) { return newOutbox(b, relays, listen) }})
		}
	}
	slices.SortFunc(all, func(a, b variant) int { return len(a.name) - len(b.name) })
	for _, v := range all {
		b.Run(v.name, func(b *testing.B) {
			s, start := v.make(b)
			ran := make([]atomic.Int64, b.N+1)
			var left sync.WaitGroup
			left.Add(b.N)
			s.ran = func(id int) {
				if ran[id].CompareAndSwap(0, time.Now().UnixNano()) {
					left.Done()
				}
			}
			start()
			time.Sleep(500 * time.Millisecond) // all listen
			committed := make([]time.Time, b.N+1)
			b.ResetTimer()
			for id := 1; id <= b.N; id++ {
				if err := s.in(b.Context(), id); err != nil {
					b.Fatal(err)
				}
				committed[id] = time.Now()
				time.Sleep(10 * time.Millisecond) // the pace of the load
			}
			left.Wait()
			var waits []time.Duration
			for id := 1; id <= b.N; id++ {
				waits = append(waits, time.Unix(0, ran[id].Load()).Sub(committed[id]))
			}
			slices.Sort(waits)
			b.ReportMetric(float64(waits[len(waits)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
