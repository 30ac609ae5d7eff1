package envelope

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/sambatech/chassis/task"
)

const all = task.Compress | task.Encrypt | task.ClaimCheck

func secret(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func ring(t testing.TB, keys ...Key) *KeyRing {
	t.Helper()
	r, err := NewKeyRing(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func folder(t testing.TB) *Folder {
	t.Helper()
	f, err := NewFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func made(t testing.TB, cfg Config) *Envelope {
	t.Helper()
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.unzip.Close(); _ = e.zip.Close() })
	return e
}

func parcel(body string, do task.Sealing) task.Parcel {
	return task.Parcel{Task: "welcome", ExecID: "e-1", Body: body, Do: do}
}

func letter(body string) Letter {
	return Letter{Task: "welcome", ExecID: "e-1", Body: []byte(body), Attempt: 1}
}

// What was sealed comes back, whatever it is and whatever was done to it; and the plain
// text is not in what is sent when it is encrypted.
func TestWhatIsSealedComesBack(t *testing.T) {
	e := made(t, Config{Keys: ring(t, Key{"k1", secret(1)}), Store: folder(t), ClaimFrom: 4 << 10})
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 50, -1).Draw(t, "text")
		plain, err := json.Marshal(strings.Repeat(text, rapid.IntRange(0, 400).Draw(t, "times")))
		if err != nil {
			t.Fatal(err)
		}
		do := task.Sealing(rapid.IntRange(0, 7).Draw(t, "parts"))
		body, mark, err := e.Seal(context.Background(), parcel(string(plain), do))
		if err != nil {
			t.Fatal(err)
		}
		if mark == "" {
			if do&task.Encrypt != 0 {
				t.Fatal("the arguments were to be encrypted, and are not")
			}
			return
		}
		if !json.Valid([]byte(body)) || !task.IsSealed([]byte(body)) {
			t.Fatalf("the body is %.200s", body)
		}
		if i := strings.IndexFunc(body, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
			t.Fatalf("the body holds %q", body[i])
		}
		if do&task.Encrypt != 0 && len(plain) > 20 && strings.Contains(body, string(plain)) {
			t.Fatal("the plain text is in the body")
		}
		if do&task.ClaimCheck != 0 && len(body) > 6<<10 {
			t.Fatalf("%d bytes stayed in the message", len(body))
		}
		back, err := e.Open(context.Background(), letter(body))
		if err != nil || !bytes.Equal(back, plain) {
			t.Fatalf("came back as %.100q, error %v", back, err)
		}
	})
}

// A JSON writer that formats the body again, as a Python consumer does that sends a message
// again, does not break it.
func TestAnotherWriterOfTheBodyDoesNotBreakIt(t *testing.T) {
	e := made(t, Config{Keys: ring(t, Key{"k1", secret(1)})})
	body, _, err := e.Seal(t.Context(), parcel(`{"name": "Zoë 😀"}`, task.Encrypt))
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Envelope json.RawMessage `json:"chassis_envelope"`
		Data     string          `json:"data"`
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(v) // compact
	if err != nil || string(again) == body {
		t.Fatalf("the other form is the same, or %v", err)
	}
	if back, err := e.Open(t.Context(), letter(string(again))); err != nil || string(back) != `{"name": "Zoë 😀"}` {
		t.Errorf("came back as %q, error %v", back, err)
	}
}

func unopened(t *testing.T, err error) *task.UnopenedError {
	t.Helper()
	var u *task.UnopenedError
	if !errors.As(err, &u) {
		t.Fatalf("the error is %v, want a *task.UnopenedError", err)
	}
	return u
}

// Each change of the body is found, and nothing of the arguments is in the error.
func TestAChangedBodyIsADeadLetter(t *testing.T) {
	const plain = `{"card": "4111111111111111"}`
	e := made(t, Config{Keys: ring(t, Key{"k1", secret(1)}), Store: folder(t)})
	other := made(t, Config{Keys: ring(t, Key{"k1", secret(2)})})
	seal := func(e *Envelope, p task.Parcel) *sealed {
		t.Helper()
		body, _, err := e.Seal(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		s, err := decode([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, change := range map[string]func(s *sealed){
		"a bit of the data":        func(s *sealed) { s.Data[20] ^= 1 },
		"the data is cut off":      func(s *sealed) { s.Data = s.Data[:15] },
		"no data":                  func(s *sealed) { s.Data = nil },
		"another task":             func(s *sealed) { s.Header.Task = "refund" },
		"another exec_id":          func(s *sealed) { s.Header.ExecID = "e-2" },
		"it says that it is zstd":  func(s *sealed) { s.Header.Zstd = 10 },
		"a size below zero":        func(s *sealed) { s.Header.Zstd = -1 },
		"without its key":          func(s *sealed) { s.Header.Key = "" },
		"as plain text":            func(s *sealed) { s.Header.Key, s.Header.DataKey = "", []byte(nil); s.Header.Zstd = 3 },
		"a bit of the data key":    func(s *sealed) { s.Header.DataKey[30] ^= 1 },
		"another ring's data key":  func(s *sealed) { s.Header.DataKey = seal(other, parcel(plain, all)).Header.DataKey },
		"a later version":          func(s *sealed) { s.Header.Version = 2 },
		"no version":               func(s *sealed) { s.Header.Version = 0 },
		"an object beside it":      func(s *sealed) { s.Header.Object, s.Header.Sum = "30d/x", secret(1) },
		"a path of the machine":    func(s *sealed) { s.Data, s.Header.Object, s.Header.Sum = nil, "30d/../../../etc/passwd", secret(1) },
		"the data of another exec": func(s *sealed) { p := parcel(plain, all); p.ExecID = "e-2"; s.Data = seal(e, p).Data },
		"the body of another task": func(s *sealed) { p := parcel(plain, all); p.Task = "refund"; *s = *seal(e, p) },
	} {
		t.Run(name, func(t *testing.T) {
			s := seal(e, parcel(plain, all))
			change(s)
			body, err := s.encode()
			if err != nil {
				t.Fatal(err)
			}
			got, err := e.Open(t.Context(), letter(body))
			if err == nil {
				t.Fatalf("it was opened: %q", got)
			}
			if u := unopened(t, err); !u.Final || strings.Contains(err.Error(), "4111") {
				t.Errorf("error %+v: %v", u, err)
			}
		})
	}
	whole, _, err := e.Seal(t.Context(), parcel(plain, all))
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		if _, err := e.Open(t.Context(), letter(whole[:cut])); err == nil || !unopened(t, err).Final {
			t.Fatalf("the first %d bytes: %v", cut, err)
		}
	}
	for i := range len(whole) { // one that still opens has the same arguments: it was in the note
		for bit := range 7 {
			b := []byte(whole)
			b[i] ^= 1 << bit
			if got, err := e.Open(t.Context(), Letter{Task: "welcome", ExecID: "e-1", Body: b}); err == nil &&
				string(got) != plain {
				t.Fatalf("bit %d of byte %d: %q", bit, i, got)
			} else if err != nil && strings.Contains(err.Error(), "4111") {
				t.Fatalf("the error shows the arguments: %v", err)
			}
		}
	}
}

// An on_fail task has the body of the task that was given up, and opens it. No other does.
func TestTheOnFailTaskOpensIt(t *testing.T) {
	e := made(t, Config{Keys: ring(t, Key{"k1", secret(1)})})
	body, _, err := e.Seal(t.Context(), parcel(`1`, task.Encrypt))
	if err != nil {
		t.Fatal(err)
	}
	l := Letter{Task: "apologise", ExecID: "e-9", Body: []byte(body), Opens: func(o string) bool { return o == "welcome" }}
	if got, err := e.Open(t.Context(), l); err != nil || string(got) != "1" {
		t.Errorf("%q, error %v", got, err)
	}
	l.Opens = func(o string) bool { return o == "charge" }
	if _, err := e.Open(t.Context(), l); err == nil || !strings.Contains(err.Error(), "task.Opens") {
		t.Errorf("error %v", err)
	}
}

// Decompression stops at the bound, whatever the frame and the header say.
func TestABombIsBounded(t *testing.T) {
	big := made(t, Config{MaxBytes: 64 << 20})
	small := made(t, Config{MaxBytes: 1 << 20})
	bomb := big.zip.EncodeAll(make([]byte, 60<<20), nil)
	if len(bomb) > 64<<10 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	for _, says := range []int{60 << 20, 1000, 1 << 20} {
		s := &sealed{Header: header{Version: 1, Task: "welcome", ExecID: "e-1", Zstd: says}, Data: bomb}
		body, err := s.encode()
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		bytes := allocated(func() { got, err = small.Open(t.Context(), letter(body)) })
		if err == nil || !unopened(t, err).Final {
			t.Errorf("it says %d: %d bytes, error %v", says, len(got), err)
		}
		if bytes > 8<<20 {
			t.Errorf("it says %d: %d bytes were allocated", says, bytes)
		}
	}
	if _, _, err := small.Seal(t.Context(), parcel(strings.Repeat("x", 2<<20), all)); err == nil {
		t.Error("what nobody could open was sealed")
	}
}

func TestOldKeysOpenAndTheFirstSeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys")
		write := func(lines ...string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		line := func(id string, b byte) string { return id + " " + base64.StdEncoding.EncodeToString(secret(b)) }
		write("# ours", line("old", 1)+" # of last year", "")
		keys, err := OpenKeyFile(path)
		if err != nil {
			t.Fatal(err)
		}
		e := made(t, Config{Keys: keys})
		sealWith := func(want string) string {
			t.Helper()
			body, mark, err := e.Seal(t.Context(), parcel(`"x"`, task.Encrypt))
			if err != nil || !strings.Contains(mark, "key="+want) {
				t.Fatalf("sealed with %q, error %v; want %q", mark, err, want)
			}
			return body
		}
		opens := func(body string) error {
			_, err := e.Open(t.Context(), letter(body))
			return err
		}
		first := sealWith("old")
		write(line("old", 1), line("new", 2)) // everywhere, before it encrypts
		time.Sleep(time.Hour)
		sealWith("old")
		write(line("new", 2), line("old", 1))
		time.Sleep(DefaultKeyAge)
		second := sealWith("new")
		if err := errors.Join(opens(first), opens(second)); err != nil {
			t.Error(err)
		}
		write(line("new", 2)) // too early
		time.Sleep(time.Hour)
		sealWith("new")
		err = opens(first)
		if u := unopened(t, err); u.Final || !u.Elsewhere || u.Within != DefaultPatience || !strings.Contains(err.Error(), `"old"`) {
			t.Errorf("%+v: %v", u, err)
		}
		write("garbage") // in the middle of a deploy
		time.Sleep(time.Hour)
		sealWith("new")
		write(line("new", 2), line("old", 1))
		time.Sleep(time.Second)
		if err := opens(first); err != nil {
			t.Errorf("the key is back: %v", err)
		}
	})
}

func TestKeyFilesThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		"":         "empty",
		"# only":   "empty",
		"k":        "line 1",
		"k aaa b":  "line 1",
		"k !":      "Base64",
		"k AAAA":   "32",
		"a/b! AAA": "Base64",
		"é " + base64.StdEncoding.EncodeToString(secret(1)):                                                         "letters",
		"k " + base64.StdEncoding.EncodeToString(secret(1)) + "\nk " + base64.StdEncoding.EncodeToString(secret(2)): "two keys",
	} {
		path := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenKeyFile(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
	if _, err := OpenKeyFile(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// service is a key service as a network has it.
type service struct {
	*KeyRing
	mu    sync.Mutex // guards what follows
	asked int
	err   error
	hang  bool
	calls chan struct{}
}

func (s *service) GenerateDataKey(ctx context.Context) (DataKey, error) {
	if err := s.answer(); err != nil {
		return DataKey{}, err
	}
	return s.KeyRing.GenerateDataKey(ctx)
}

func (s *service) Decrypt(ctx context.Context, key string, wrapped []byte) ([]byte, error) {
	if err := s.answer(); err != nil {
		return nil, err
	}
	return s.KeyRing.Decrypt(ctx, key, wrapped)
}

func (s *service) answer() error {
	s.mu.Lock()
	s.asked++
	hang, err := s.hang, s.err
	s.mu.Unlock()
	if hang {
		<-s.calls // whatever its ctx says
	}
	return err
}

// A data key is asked for once for many messages, and not for ever.
func TestDataKeysAreKeptWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := &service{KeyRing: ring(t, Key{"k1", secret(1)})}
		e := made(t, Config{Keys: keys, MostKeys: 3})
		var bodies []string
		for i := range 5 {
			for range 100 {
				body, _, err := e.Seal(t.Context(), parcel(`1`, task.Encrypt))
				if err != nil {
					t.Fatal(err)
				}
				bodies = append(bodies, body)
			}
			if keys.asked != i+1 {
				t.Fatalf("asked %d times for %d data keys", keys.asked, i+1)
			}
			time.Sleep(DefaultKeyAge)
		}
		keys.asked = 0
		for _, body := range bodies {
			if _, err := e.Open(t.Context(), letter(body)); err != nil {
				t.Fatal(err)
			}
		}
		if keys.asked != 5 || len(e.keys.open) > 3 {
			t.Errorf("asked %d times to unwrap 5 data keys, %d are kept", keys.asked, len(e.keys.open))
		}
		e.keys.current.used = maxUses
		if _, _, err := e.Seal(t.Context(), parcel(`1`, task.Encrypt)); err != nil || keys.asked != 6 {
			t.Errorf("after so many messages the data key was used on: %v", err)
		}
	})
}

// A key service that is away spends nothing: the task waits. One that hangs is left, and a
// message later it is not asked a second time.
func TestAKeyServiceThatIsAwayOrHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := &service{KeyRing: ring(t, Key{"k1", secret(1)}), calls: make(chan struct{})}
		e := made(t, Config{Keys: keys})
		body, _, err := e.Seal(t.Context(), parcel(`1`, task.Encrypt))
		if err != nil {
			t.Fatal(err)
		}
		keys.err = errors.New("connection refused")
		_, err = e.Open(t.Context(), letter(body))
		if u := unopened(t, err); u.Final || u.Elsewhere || u.Within != 0 || u.Wait <= 0 {
			t.Errorf("away: %+v", u)
		}
		keys.mu.Lock()
		keys.err, keys.hang, keys.asked = nil, true, 0
		keys.mu.Unlock()
		for range 5 {
			begin := time.Now()
			_, err = e.Open(t.Context(), letter(body))
			if u := unopened(t, err); u.Final || time.Since(begin) > DefaultTimeout {
				t.Errorf("hangs: %+v after %v", u, time.Since(begin))
			}
		}
		time.Sleep(DefaultKeyAge)
		begin := time.Now()
		if _, _, err = e.Seal(t.Context(), parcel(`1`, task.Encrypt)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("seal: %v after %v", err, time.Since(begin))
		}
		close(keys.calls)
		keys.mu.Lock()
		keys.hang = false
		keys.mu.Unlock()
		synctest.Wait()
		if _, err = e.Open(t.Context(), letter(body)); err != nil {
			t.Errorf("it is back: %v", err)
		}
	})
}

// shelf is a store as a network has it.
type shelf struct {
	objects map[string][]byte
	err     error
	hang    chan struct{}
	begun   atomic.Int64
}

func (s *shelf) Put(_ context.Context, name string, data []byte) error {
	s.objects[name] = slices.Clone(data)
	return s.err
}

func (s *shelf) Get(context.Context, string, int64) ([]byte, error) {
	if s.begun.Add(1); s.hang != nil {
		<-s.hang
	}
	for _, data := range s.objects {
		return data, s.err
	}
	return nil, fmt.Errorf("%w: swept", ErrNoObject)
}

func (s *shelf) Delete(_ context.Context, name string) error { delete(s.objects, name); return nil }

func TestAStoreThatIsAwayHangsOrHasLostIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &shelf{objects: map[string][]byte{}}
		e := made(t, Config{Store: store, Keys: ring(t, Key{"k1", secret(1)}), ClaimFrom: 100})
		body, mark, err := e.Seal(t.Context(), parcel(`"`+strings.Repeat("x", 200)+`"`, all))
		if err != nil || len(store.objects) != 1 || !strings.Contains(mark, "object 30d/") {
			t.Fatalf("%d objects, %q, error %v", len(store.objects), mark, err)
		}
		store.err = errors.New("503 Slow Down")
		_, err = e.Open(t.Context(), letter(body))
		if u := unopened(t, err); u.Final || u.Elsewhere || u.Within != 0 {
			t.Errorf("away: %+v", u)
		}
		store.err, store.hang = nil, make(chan struct{})
		for range maxOpenCalls + 5 { // the store ignores the ctx of each
			begin := time.Now()
			_, err = e.Open(t.Context(), letter(body))
			if u := unopened(t, err); u.Final || time.Since(begin) > DefaultTimeout {
				t.Fatalf("hangs: %v after %v", err, time.Since(begin))
			}
		}
		if n := store.begun.Load(); n > maxOpenCalls+1 {
			t.Errorf("%d calls hang", n)
		}
		close(store.hang)
		synctest.Wait()
		if _, err = e.Open(t.Context(), letter(body)); err != nil {
			t.Errorf("it is back: %v", err)
		}
		for name := range store.objects {
			store.objects[name][3] ^= 1
		}
		if _, err = e.Open(t.Context(), letter(body)); !errors.Is(err, ErrBroken) || !unopened(t, err).Final {
			t.Errorf("another object: %v", err)
		}
		if err := e.Discard(t.Context(), []byte(body)); err != nil || len(store.objects) != 0 {
			t.Errorf("discard: %d objects, error %v", len(store.objects), err)
		}
		if _, err = e.Open(t.Context(), letter(body)); !errors.Is(err, ErrNoObject) || !unopened(t, err).Final {
			t.Errorf("swept: %v", err)
		}
		none := made(t, Config{})
		if _, err = none.Open(t.Context(), letter(body)); !unopened(t, err).Elsewhere {
			t.Errorf("a process without a store: %v", err)
		}
	})
}

// An object is kept for the time to run at, and for the queue's and a dead letter's time
// after it.
func TestObjectsOutliveTheirMessages(t *testing.T) {
	store := &shelf{objects: map[string][]byte{}}
	e := made(t, Config{Store: store, ClaimFrom: 1})
	for in, want := range map[time.Duration]string{-time.Hour: "30d", 0: "30d", day: "30d", 3 * day: "90d", 62 * day: "90d",
		63 * day: "366d", 338 * day: "366d", 339 * day: "ever", 3000 * day: "ever"} {
		p := parcel(`"x"`, task.ClaimCheck)
		p.When = time.Now().Add(in - time.Minute)
		_, mark, err := e.Seal(t.Context(), p)
		if err != nil || !strings.HasPrefix(mark, "object "+want+"/") {
			t.Errorf("in %v: %q, error %v, want %s", in, mark, err, want)
		}
	}
}

func TestAFolderSweepsWhatIsOldAlone(t *testing.T) {
	dir := t.TempDir()
	f, err := NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	id := "/00000000-0000-0000-0000-00000000000"
	names := []string{"30d" + id + "1", "30d" + id + "2", "90d" + id + "3", "ever" + id + "4"}
	for _, name := range names {
		if err := f.Put(t.Context(), name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Put(t.Context(), names[0], nil); err != nil {
		t.Errorf("an object is written over by a rename: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "30d", "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-31 * day)
	for _, name := range []string{names[0], names[2], names[3], "30d/notes.txt"} {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	f.begun = time.Now().Round(0).Add(-time.Hour) // no monotonic reading: both agree
	f.sweep(time.Now())
	var left []string
	for _, name := range append(names, "30d/notes.txt") {
		if _, err := f.Get(t.Context(), name, 100); err == nil {
			left = append(left, name)
		}
	}
	if !slices.Equal(left, append(names[1:], "30d/notes.txt")) {
		t.Errorf("left: %v", left)
	}
	if _, err := f.Get(t.Context(), "30d/../../../etc/passwd", 100); err == nil {
		t.Error("it left its folder")
	}
	if _, err := f.Get(t.Context(), names[1], 2); !errors.Is(err, ErrBroken) {
		t.Errorf("an object that is too large: %v", err)
	}
}
