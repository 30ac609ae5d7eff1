//go:build unix

package fleet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"
	"go.uber.org/goleak"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/fleet"
)

// peerVariable makes the test binary a member of a fleet: it has the address of a seed.
const peerVariable = "CHASSIS_BENCH_PEER"

func TestMain(m *testing.M) {
	seed := os.Getenv(peerVariable)
	if seed == "" {
		code := m.Run()
		// A probe of memberlist that is under way ends up to a probe interval after its shut-down.
		err := goleak.Find()
		for end := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(end); {
			err = goleak.Find()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
		os.Exit(code)
	}
	sys, _, err := join(seed)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("started")
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = sys.Stop(context.Background())
}

const service = "https://mail.internal"

// join starts a member of a fleet on loopback.
func join(seeds ...string) (*chassis.System, *fleet.Fleet, error) {
	sys, err := chassis.New("mailer", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithLogOutput(io.Discard),
		chassis.WithoutDefaultLogger())
	if err != nil {
		return nil, nil, err
	}
	f, err := fleet.Join(sys, fleet.Settings{Bind: "127.0.0.1:0", Seeds: seeds})
	if err != nil {
		return nil, nil, err
	}
	return sys, f, sys.Start(context.Background())
}

// member is a fleet of three: this process, and two of their own.
type member struct {
	*breaker.Breaker
	peers []*exec.Cmd
}

func newMember(t *testing.T) *member {
	t.Helper()
	sys, f, err := join()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	m := &member{Breaker: sys.Breaker(service)}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	size := func() int {
		list, err := f.Members(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	list, err := f.Members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		cmd := exec.CommandContext(t.Context(), exe)
		cmd.Env = append(os.Environ(), peerVariable+"="+list[0].Addr)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
		if !bufio.NewScanner(out).Scan() {
			t.Fatal("a member did not start")
		}
		m.peers = append(m.peers, cmd)
	}
	for end := time.Now().Add(20 * time.Second); size() < 3 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	if size() != 3 {
		t.Fatal("the three members did not find each other")
	}
	return m
}

func (m *member) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	for _, p := range m.peers {
		if err := p.Process.Signal(s); err != nil {
			t.Error(err)
		}
	}
}

func (m *member) call(f func() error) error {
	return m.Do(context.Background(), "", func(context.Context) error { return f() })
}

// server is a Redis that belongs to one test.
type server struct {
	t    *testing.T
	addr string
	cmd  *exec.Cmd
}

func newServer(t *testing.T) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("SKIPPED: redis-server is not installed here, so gobreaker's distributed breaker was not measured: " +
			"apt-get install redis-server")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, addr: l.Addr().String()}
	_ = l.Close()
	s.start()
	t.Cleanup(s.kill)
	return s
}

// start starts an empty Redis, and waits until it answers.
func (s *server) start() {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(s.addr)
	s.cmd = exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no",
		"--dir", s.t.TempDir())
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", s.addr); err == nil {
			_ = c.Close()
			return
		}
	}
	s.t.Fatal("redis-server does not listen")
}

func (s *server) kill() {
	_ = s.cmd.Process.Signal(syscall.SIGCONT)
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// store is a gobreaker.SharedDataStore on Redis: a lock is a key with a random value that
// ends by itself, and only its owner removes it.
type store struct {
	*redis.Client
	value sync.Map // of the locks that this process has
	asked atomic.Int64
}

var unlock = redis.NewScript(`if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end return 0`)

func (s *store) Lock(name string) error {
	s.asked.Add(1)
	value := fmt.Sprint(time.Now().UnixNano())
	ok, err := s.SetNX(context.Background(), name, value, 5*time.Second).Result()
	if err == nil && !ok {
		err = errors.New("locked")
	}
	if err == nil {
		s.value.Store(name, value)
	}
	return err
}

func (s *store) Unlock(name string) error {
	s.asked.Add(1)
	value, _ := s.value.Load(name)
	return unlock.Run(context.Background(), s.Client, []string{name}, value).Err()
}

func (s *store) GetData(name string) ([]byte, error) {
	s.asked.Add(1)
	b, err := s.Get(context.Background(), name).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return b, err
}

func (s *store) SetData(name string, data []byte) error {
	s.asked.Add(1)
	return s.Set(context.Background(), name, data, 0).Err()
}

// outcome is what became of calls.
type outcome struct {
	made, reached int
	took          time.Duration // of the slowest
	err           error         // the last one
}

func (o outcome) String() string {
	return fmt.Sprintf("%d of %d calls reach the service, the slowest in %v, error %v", o.reached, o.made, o.took, o.err)
}

// calls makes calls to a service that works, one after the other.
func calls(n int, call func(func() error) error) (o outcome) {
	for range n {
		begun := time.Now()
		err := call(func() error { o.reached++; return nil })
		o.made, o.took = o.made+1, max(o.took, time.Since(begun))
		if err != nil {
			o.err = err
		}
	}
	return o
}

// cost is the time of one call: the best of several runs.
func cost(n int, call func(func() error) error) time.Duration {
	var each []time.Duration
	for range 5 {
		begun := time.Now()
		for range n {
			_ = call(func() error { return nil })
		}
		each = append(each, time.Since(begun)/time.Duration(n))
	}
	return slices.Min(each)
}

// atOnce is how many calls of 5 ms eight callers make in a second.
func atOnce(call func(func() error) error) int64 {
	var n atomic.Int64
	var callers sync.WaitGroup
	end := time.Now().Add(time.Second)
	for range 8 {
		callers.Go(func() {
			for time.Now().Before(end) {
				if call(func() error { time.Sleep(5 * time.Millisecond); return nil }) == nil {
					n.Add(1)
				}
			}
		})
	}
	callers.Wait()
	return n.Load()
}

// TestAFleetAndGobreakerOnRedis prints what docs/fleet.md shows, and fails if a call of
// ours depends on the others.
func TestAFleetAndGobreakerOnRedis(t *testing.T) {
	s := newServer(t)
	opts := &redis.Options{Addr: s.addr}
	if os.Getenv("CHASSIS_SCALE") != "full" { // with the defaults of go-redis a call on a hung one takes 12 s and more
		opts.ReadTimeout, opts.MaxRetries = 300*time.Millisecond, -1
	}
	shared := &store{Client: redis.NewClient(opts)}
	defer shared.Close()
	dcb, err := gobreaker.NewDistributedCircuitBreaker[any](shared, gobreaker.Settings{Name: "mail"})
	if err != nil {
		t.Fatal(err)
	}
	theirs := func(f func() error) error {
		_, err := dcb.Execute(func() (any, error) { return nil, f() })
		return err
	}
	m := newMember(t)
	ours := m.call

	shared.asked.Store(0)
	_ = theirs(func() error { return nil })
	t.Logf("requests to Redis for one call: %d", shared.asked.Load())
	a, b := cost(20_000, ours), cost(200, theirs)
	t.Logf("one call: %v in a fleet of three, %v on Redis (%.0f x)", a, b, float64(b)/float64(a))
	t.Logf("eight callers, calls of 5 ms, in a second: %d in a fleet, %d on Redis", atOnce(ours), atOnce(theirs))

	check := func(what string, mine, other outcome) {
		t.Helper()
		t.Logf("%s: in a fleet %v; on Redis %v", what, mine, other)
		if mine.reached != mine.made || mine.err != nil {
			t.Errorf("%s: calls of ours depend on the others: %v", what, mine)
		}
	}
	m.signal(t, syscall.SIGSTOP)
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	check("hung", calls(100, ours), calls(1, theirs))
	m.signal(t, syscall.SIGCONT)
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	m.signal(t, syscall.SIGKILL)
	s.kill()
	check("dead", calls(100, ours), calls(3, theirs))
	s.start()
	check("back, and empty", calls(100, ours), calls(20, theirs))
}
