package store

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

var everyKind = []engine.Change{
	{Kind: engine.QueuePut, Queue: 1, Record: &engine.QueueRecord{Key: engine.Key{Region: "r", Name: "n"}, ID: 1, Attributes: map[string]string{"a": "b"}}},
	{Kind: engine.MessagePut, Queue: 1, Seq: 2, Meta: engine.Meta{ID: [16]byte{1}, Group: "g"}, Content: &engine.Content{Body: "x"}},
	{Kind: engine.MessageMeta, Queue: 1, Seq: 2, Meta: engine.Meta{Due: 5, Receives: 1}},
	{Kind: engine.MessageMove, Queue: 2, Seq: 3, From: 1, FromSeq: 2, Meta: engine.Meta{Origin: &engine.Key{Region: "r", Name: "n"}}},
	{Kind: engine.MessageMove, Queue: 2, Seq: 4, From: 1, FromSeq: 1, Content: &engine.Content{Body: "y"}},
	{Kind: engine.MessageGone, Queue: 2, Seq: 3},
	{Kind: engine.QueuePurged, Queue: 2},
	{Kind: engine.QueueGone, Queue: 2},
	{Kind: engine.DedupPut, Queue: 1, Name: "d", ID: [16]byte{7}, Seq: 9, Due: 10},
	{Kind: engine.DedupGone, Queue: 1, Name: "d"},
	{Kind: engine.TaskPut, Seq: 1, Task: &engine.MoveTask{ID: 1, Status: "RUNNING"}},
	{Kind: engine.TaskGone, Seq: 1},
	{Kind: engine.TimePut, Due: 12},
}

func TestChangesComeBackFromTheJournalAsTheyWere(t *testing.T) {
	for _, c := range everyKind {
		b, err := appendChange(nil, &c)
		if err != nil {
			t.Fatal(err)
		}
		r := reader{s: string(b)}
		got, err := r.change()
		if err != nil || r.s != "" || !reflect.DeepEqual(got, c) {
			t.Errorf("got %+v, %v, %d bytes left; want %+v", got, err, len(r.s), c)
		}
		for n := range b {
			r := reader{s: string(b[:n])}
			if got, err := r.change(); err == nil {
				t.Errorf("%d of %d bytes of %+v gave %+v", n, len(b), c, got)
			}
		}
	}
	if _, err := appendChange(nil, &engine.Change{Kind: 200}); err == nil {
		t.Error("an unknown change was written")
	}
}

// FuzzJournal feeds the journal's reader damaged files: it must give groups
// whose numbers rise, or an error, and never panic.
func FuzzJournal(f *testing.F) {
	path := filepath.Join(f.TempDir(), "q")
	j, err := openJournal(path, 7, 0, true)
	if err != nil {
		f.Fatal(err)
	}
	for _, part := range [][]engine.Change{everyKind[:6], everyKind[6:]} { // small, for the fuzzer's sake
		if err := j.append(part); err != nil {
			f.Fatal(err)
		}
	}
	if err := j.close(); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(journalPaths(path)[0])
	if err != nil {
		f.Fatal(err)
	}
	whole = whole[:groupAlign+headerSize+200]
	f.Add(whole, 0, byte(0))
	f.Add(whole, headerSize, byte(1))
	f.Add(whole, groupAlign+headerSize, byte(1))
	f.Fuzz(func(t *testing.T, b []byte, at int, flip byte) {
		b = bytes.Clone(b)
		if at >= 0 && at < len(b) {
			b[at] ^= flip
		}
		run, err := readGroups(b, 7, 0)
		for i := range run {
			if i > 0 && run[i].number != run[i-1].number+1 {
				t.Errorf("group %d comes after %d", run[i].number, run[i-1].number)
			}
			for r := (reader{s: string(run[i].changes)}); r.s != "" && r.err == nil; {
				_, _ = r.change()
			}
		}
		_ = err
		for r := (reader{s: string(b)}); r.s != "" && r.err == nil; {
			if _, err := r.change(); err != nil {
				break
			}
		}
	})
}

var quiet = Options{NoFsync: true, Logger: slog.New(slog.DiscardHandler)}

// dump is all that is in the file, but for the state of its journal.
func dump(t interface{ Fatal(...any) }, f *File) map[string]string {
	all := map[string]string{}
	walk := func(prefix string, b *bbolt.Bucket) error {
		return b.ForEach(func(k, v []byte) error {
			if !bytes.Equal(k, journalKey) && !bytes.Equal(k, saltKey) {
				all[prefix+string(k)] = string(v)
			}
			return nil
		})
	}
	if err := f.db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			if b.Sequence() > 0 {
				all[string(name)+" sequence"] = fmt.Sprint(b.Sequence())
			}
			return walk(string(name)+"/", b)
		})
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestSquashedChangesComeToTheSame lets an engine work on standard and
// dead-letter queues and applies what it records as it is and squashed.
func TestSquashedChangesComeToTheSame(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		var files [2]*File
		for i := range files {
			path := filepath.Join(dir, fmt.Sprint(i))
			_ = os.Remove(path)
			f, err := Open(path, quiet)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close() //nolint:errcheck // of no further use
			files[i] = f
		}
		e := engine.New(engine.Config{Account: "0", Durable: true, NewID: func() [16]byte { return [16]byte{9} }})
		now := int64(1e18)
		create := func(name, policy string) *engine.Queue {
			attrs := map[string]string{}
			if policy != "" {
				attrs["RedrivePolicy"] = policy
			}
			q, err := e.CreateQueue(now, engine.Key{Region: "r", Name: name}, attrs, nil)
			if err != nil {
				t.Fatal(err)
			}
			return q
		}
		dead := create("dead", "")
		jobs := create("jobs", `{"deadLetterTargetArn":"`+e.ARN(dead)+`","maxReceiveCount":1}`)
		var handles []string
		for range rapid.IntRange(1, 4).Draw(t, "checkpoints") {
			for range rapid.IntRange(1, 40).Draw(t, "steps") {
				now += 1e9
				e.Advance(now)
				q := rapid.SampledFrom([]*engine.Queue{jobs, dead}).Draw(t, "queue")
				switch rapid.SampledFrom([]string{"send", "send", "send", "receive", "receive", "receive", "delete", "change", "purge", "commit", "move"}).Draw(t, "step") {
				case "send":
					e.Send(now, q, &engine.SendInput{Content: &engine.Content{Body: fmt.Sprint(now)}, Delay: rapid.Int64Range(0, 2).Draw(t, "delay")})
				case "receive":
					w := &engine.Waiter{Queue: q, Max: 3, Visibility: rapid.Int64Range(0, 3).Draw(t, "visibility")}
					e.Receive(now, w)
					for i := range w.Messages {
						handles = append(handles, string(e.AppendReceipt(nil, &w.Messages[i])))
					}
				case "delete":
					if len(handles) > 0 {
						_ = e.Delete(q, rapid.SampledFrom(handles).Draw(t, "handle"))
					}
				case "change":
					if len(handles) > 0 {
						_ = e.ChangeVisibility(now, q, rapid.SampledFrom(handles).Draw(t, "handle"), rapid.Int64Range(0, 2).Draw(t, "timeout"))
					}
				case "purge":
					_ = e.Purge(now, q)
				case "move":
					_, _ = e.StartMoveTask(now, e.ARN(dead), "", nil)
				}
			}
			changes := e.TakeChanges()
			if err := files[0].apply(changes, 1, true); err != nil {
				t.Fatal(err)
			}
			if err := files[1].apply(squash(changes), 1, true); err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "forget") {
				e.Committed(changes)
			}
		}
		if want, got := dump(t, files[0]), dump(t, files[1]); !reflect.DeepEqual(got, want) {
			t.Errorf("squashed:\n%q\nas they were:\n%q", got, want)
		}
	})
}

// written makes a queue file and writes n groups, one message each, of which
// some are in the file and the others in its journal. The committer is left as a
// kill would leave it; the files are copied for that.
func written(t *testing.T, n int, limit int64) (path string) {
	dir := t.TempDir()
	f, err := Open(filepath.Join(dir, "live"), Options{NoFsync: true, Logger: quiet.Logger, CheckpointFrom: limit})
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewCommitter(f, func([]engine.Change) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Append(everyKind[:1]).Wait(); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := c.Append([]engine.Change{{Kind: engine.MessagePut, Queue: 1, Seq: uint64(i + 1), Content: &engine.Content{Body: fmt.Sprint("body ", i)}}}).Wait(); err != nil {
			t.Fatal(err)
		}
	}
	path = filepath.Join(dir, "killed")
	if err := f.db.View(func(tx *bbolt.Tx) error { return tx.CopyFile(path, 0o600) }); err != nil {
		t.Fatal(err)
	}
	for i, p := range journalPaths(filepath.Join(dir, "live")) {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(journalPaths(path)[i], b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range journalPaths(filepath.Join(dir, "live")) {
		if _, err := os.Stat(p); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there after a close: %v", filepath.Base(p), err)
		}
	}
	return path
}

// messages counts those in the file.
func messages(t *testing.T, f *File) (n int) {
	for k := range dump(t, f) {
		if strings.HasPrefix(k, string(name('b', 1))) && !strings.HasSuffix(k, "sequence") {
			n++
		}
	}
	return n
}

func TestAJournalIsTakenOverAfterAKill(t *testing.T) {
	for _, limit := range []int64{1, 3 * groupAlign, checkpointFrom} {
		path := written(t, 20, limit)
		for range 2 { // a second time, after another kill before anything was written
			f, err := Open(path, quiet)
			if err != nil {
				t.Fatal(err)
			}
			if n := messages(t, f); n != 20 {
				t.Errorf("limit %d: %d messages after the kill, want 20", limit, n)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestOfAJournalOnlyTheLastGroupMayBeCutShort(t *testing.T) {
	const n = 5
	for at := range n + 1 { // the first group makes the queue
		path := written(t, n, checkpointFrom)
		journal := journalPaths(path)[0]
		b, err := os.ReadFile(journal)
		if err != nil {
			t.Fatal(err)
		}
		b[at*groupAlign+headerSize+3] ^= 1
		if err := os.WriteFile(journal, b, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path, quiet)
		if at == n {
			if err != nil {
				t.Fatalf("a last group that is cut short: %v", err)
			}
			if got := messages(t, f); got != n-1 {
				t.Errorf("%d messages, want all but the last of %d", got, n)
			}
			_ = f.Close()
			continue
		}
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("group %d of %d is damaged, and the error is %v", at, n+1, err)
		}
		if after, _ := os.ReadFile(journal); !bytes.Equal(after, b) {
			t.Error("the damaged journal was changed")
		}
	}
}

func TestAMissingJournalIsNoticed(t *testing.T) {
	path := written(t, 3, checkpointFrom)
	lost := journalPaths(path)[0]
	if err := os.Remove(lost); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, quiet); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), lost) {
		t.Errorf("error is %v, want ErrCorrupt and the journal's name", err)
	}
	if err := os.WriteFile(lost, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path, quiet)
	if err != nil {
		t.Fatalf("with an empty journal, as the error suggests: %v", err)
	}
	_ = f.Close()
}

func TestAFileOfTheFormatBeforeOpens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q")
	f, err := Open(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	put := func(v string) {
		if err := f.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(formatKey, []byte(v)) }); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	put("localsqs 1")
	if f, err = Open(path, quiet); err != nil {
		t.Fatal(err)
	}
	if got := dump(t, f)["meta/format"]; got != format {
		t.Errorf("the format is %q afterwards, want %q: a server of before must not open a file with a journal", got, format)
	}
	put("localsqs 3")
	if _, err = Open(path, quiet); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "localsqs 3") {
		t.Errorf("a later format: error is %v", err)
	}
}

func TestAfterCloseNothingIsTakenAndNobodyHangs(t *testing.T) {
	f, err := Open(filepath.Join(t.TempDir(), "q"), quiet)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewCommitter(f, func([]engine.Change) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Append(everyKind[:1]).Wait(); err == nil {
		t.Error("a change after Close was taken")
	}
}

// A queue file that was restored from a copy is older than the journal that
// lies beside it: none of that may come back, not even after a later kill.
func TestAJournalOfALaterServerIsNotTakenForTheRestoredFilesOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q")
	put := func(c *Committer, seq uint64, body string) {
		t.Helper()
		if err := c.Append([]engine.Change{{Kind: engine.MessagePut, Queue: 1, Seq: seq, Content: &engine.Content{Body: body}}}).Wait(); err != nil {
			t.Fatal(err)
		}
	}
	begin := func() *Committer {
		t.Helper()
		f, err := Open(path, quiet)
		if err != nil {
			t.Fatal(err)
		}
		c, err := NewCommitter(f, func([]engine.Change) {})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	keep := func(paths ...string) (contents [][]byte) {
		t.Helper()
		for _, p := range paths {
			b, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			contents = append(contents, b)
		}
		return contents
	}
	restore := func(contents [][]byte, paths ...string) {
		t.Helper()
		for i, p := range paths {
			if err := os.WriteFile(p, contents[i], 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	end := func(c *Committer) {
		t.Helper()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	journals := journalPaths(path)

	c := begin()
	if err := c.Append(everyKind[:1]).Wait(); err != nil {
		t.Fatal(err)
	}
	end(c)
	backup := keep(path)

	c = begin() // the server that is killed
	put(c, 1, "a")
	put(c, 2, "of the other time")
	killed := keep(journals[:]...)
	end(c)

	restore(backup, path)
	restore(killed, journals[:]...)
	c = begin()
	put(c, 1, "b")
	live := keep(path)
	killed = keep(journals[:]...)
	end(c)
	restore(live, path)
	restore(killed, journals[:]...)
	f, err := Open(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	if n := messages(t, f); n != 1 {
		t.Errorf("%d messages, want the one that was sent after the restore", n)
	}
}

// The files were removed under a running server, and another began at the same
// path: the end of the first must not take the second's journal away.
func TestTheJournalOfAnotherServerIsLeftAtTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q")
	journals := journalPaths(path)
	begin := func() *Committer {
		t.Helper()
		f, err := Open(path, quiet)
		if err != nil {
			t.Fatal(err)
		}
		c, err := NewCommitter(f, func([]engine.Change) {})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := begin()
	for _, p := range append(journals[:], path) {
		if err := os.Remove(p); err != nil {
			t.Fatal(err)
		}
	}
	second := begin()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range journals {
		if _, err := os.Stat(p); err != nil {
			t.Errorf("after the first server's end: %v", err)
		}
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

// The first move is in the file and the second is not: the content is neither
// where the message began nor where it is.
func TestAContentIsFoundBetweenTwoMoves(t *testing.T) {
	f, err := Open(filepath.Join(t.TempDir(), "q"), quiet)
	if err != nil {
		t.Fatal(err)
	}
	put := engine.Change{Kind: engine.MessagePut, Queue: 1, Seq: 1, Content: &engine.Content{Body: "here"}}
	if err := f.apply([]engine.Change{put}, 0, true); err != nil {
		t.Fatal(err)
	}
	c, err := NewCommitter(f, func([]engine.Change) {})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // what it holds was moved away under it
	first := []engine.Change{{Kind: engine.MessageMove, From: 1, FromSeq: 1, Queue: 2, Seq: 2}}
	second := []engine.Change{{Kind: engine.MessageMove, From: 2, FromSeq: 2, Queue: 1, Seq: 3}}
	found := func(when string) {
		t.Helper()
		if content, err := c.Content(1, 3); err != nil || content == nil || content.Body != "here" {
			t.Errorf("%s: content %+v, error %v", when, content, err)
		}
	}
	for _, changes := range [][]engine.Change{first, second} {
		if err := c.Append(changes).Wait(); err != nil {
			t.Fatal(err)
		}
	}
	found("both moves are in the journal alone")
	if err := f.apply(first, 0, true); err != nil {
		t.Fatal(err)
	}
	c.forget(first)
	found("the first move is in the file")
	if err := f.apply(second, 0, true); err != nil {
		t.Fatal(err)
	}
	found("both are, and not forgotten yet")
	c.forget(second)
	found("both are in the file")
}

// The contents are not read when the file is opened: that one of their pages is
// damaged comes to light in the middle of the work, where it must be an error
// and no end of the process.
func TestADamagedPageIsAnErrorWhenItIsMet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q")
	const n = 40
	f, err := Open(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	changes := []engine.Change{everyKind[0]}
	for i := range n {
		changes = append(changes, engine.Change{Kind: engine.MessagePut, Queue: 1, Seq: uint64(i + 1), Content: &engine.Content{Body: strings.Repeat("x", 500)}})
	}
	if err := errors.Join(f.apply(changes, 0, false), f.Close()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	met := 0
	page := os.Getpagesize()
	for at := 2 * page; at < len(whole); at += page {
		damaged := bytes.Clone(whole)
		clear(damaged[at : at+page])
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path, quiet)
		if err != nil {
			continue // noticed at once
		}
		for seq := range n {
			if c, err := f.Content(1, uint64(seq+1)); err != nil {
				met++
				if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), path) {
					t.Errorf("error is %v, want ErrCorrupt and the path", err)
				}
			} else if c == nil {
				t.Errorf("page %d is damaged, and message %d is not there without an error", at/page, seq+1)
			}
			gone := engine.Change{Kind: engine.MessageGone, Queue: 1, Seq: uint64(seq + 1)}
			if err := f.apply([]engine.Change{gone}, 0, false); err != nil && !errors.Is(err, ErrCorrupt) {
				t.Errorf("a delete: error is %v, want ErrCorrupt", err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if met == 0 {
		t.Error("no damaged page was met")
	}
}

func BenchmarkContent(b *testing.B) {
	f, err := Open(filepath.Join(b.TempDir(), "q"), quiet)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it is thrown away
	if err := f.apply([]engine.Change{{Kind: engine.MessagePut, Queue: 1, Seq: 1, Content: &engine.Content{Body: "x"}}}, 0, false); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := f.Content(1, 1); err != nil {
			b.Fatal(err)
		}
	}
}
