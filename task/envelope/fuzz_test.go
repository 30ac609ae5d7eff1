package envelope

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/sambatech/chassis/task"
)

// allocated returns the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// FuzzOpen gives the opener what is on a queue: anything. It neither panics nor returns
// more than its bound, and every error has a verdict.
func FuzzOpen(f *testing.F) {
	e := made(f, Config{Keys: ring(f, Key{"k1", secret(1)}), Store: folder(f), ClaimFrom: 2000, MaxBytes: 1 << 16})
	for do := task.Sealing(0); do <= all; do++ {
		for _, n := range []int{0, 1100, 5000} {
			body, _, err := e.Seal(f.Context(), parcel(`"`+string(bytes.Repeat([]byte("ab"), n/2))+`"`, do))
			if err != nil {
				f.Fatal(err)
			}
			f.Add([]byte(body))
		}
	}
	f.Add([]byte(`{"chassis_envelope": {"v": 1, "task": "welcome", "exec_id": "e-1", "zstd": 9}, "data": "KLUv/WD//wE="}`))
	f.Add([]byte(`{"chassis_envelope": {`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := e.Open(t.Context(), letter(string(body)))
		if err != nil {
			if u := unopened(t, err); !u.Final && u.Wait <= 0 {
				t.Errorf("it would be tried without a pause: %v", err)
			}
			return
		}
		if len(got) > 1<<20 {
			t.Errorf("%d bytes came out", len(got))
		}
	})
}

// FuzzSealed seals any arguments and opens them.
func FuzzSealed(f *testing.F) {
	e := made(f, Config{Keys: ring(f, Key{"k1", secret(1)}), Store: folder(f), ClaimFrom: 3000})
	f.Add("welcome", "e-1", `{"a": 1}`, byte(7))
	f.Add("\x00é\U0001F600\"\\", "", "", byte(2))
	f.Fuzz(func(t *testing.T, name, id, args string, do byte) {
		body, mark, err := e.Seal(t.Context(), task.Parcel{Task: name, ExecID: id, Body: args, Do: task.Sealing(do) & all})
		if err != nil {
			t.Fatal(err)
		}
		if mark == "" {
			return
		}
		got, err := e.Open(t.Context(), Letter{Task: name, ExecID: id, Body: []byte(body)})
		if valid := string([]rune(name)) == name && string([]rune(id)) == id; valid && (err != nil || string(got) != args) {
			t.Fatalf("came back as %q, error %v", got, err)
		}
	})
}
