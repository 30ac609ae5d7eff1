package localsqs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/queue/localsqs"
)

func TestQueuesAndMessagesOutliveTheServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	srv, err := localsqs.New(localsqs.Path(path))
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(srv)
	url := createQueue(t, client, "jobs", map[string]string{"VisibilityTimeout": "1000"})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 25 {
				send(t, client, url, fmt.Sprintf("body %d/%d", w, i))
			}
		})
	}
	wg.Wait()
	taken := receive(t, client, url, 10, 0)
	remove(t, client, url, taken[0])
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}

	srv = newServer(t, localsqs.Path(path))
	client = newClient(srv)
	seen := map[string]bool{*taken[0].Body: true}
	for batch := receive(t, client, url, 10, 0); len(batch) > 0; batch = receive(t, client, url, 10, 0) {
		for _, m := range batch {
			seen[*m.Body] = true
			remove(t, client, url, m)
		}
	}
	if want := 100 - len(taken) + 1; len(seen) != want {
		t.Errorf("received %d messages after the restart, want %d: the others are in flight", len(seen), want)
	}
	for _, m := range taken {
		remove(t, client, url, m) // by the handle of the server before
	}
}

// A queue ran while the machine's clock was three hours ahead; the clock is set
// right, and the next server must not hide its messages for these hours.
func TestAMessageInFlightComesBackAfterTheClockIsSetBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	srv, err := localsqs.New(localsqs.Path(path), localsqs.Clock(ahead{}))
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(srv)
	url := createQueue(t, client, "jobs", map[string]string{"VisibilityTimeout": "2"})
	send(t, client, url, "x")
	if got := receive(t, client, url, 1, 0); len(got) != 1 {
		t.Fatalf("received %d messages, want 1", len(got))
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	srv = newServer(t, localsqs.Path(path))
	if got := receive(t, newClient(srv), url, 1, 4); len(got) != 1 {
		t.Errorf("received %d messages in 4 s, want the one that was in flight for 2; the queue: %+v", len(got), srv.Stats().Queues)
	}
}

func TestAFileInUseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	newServer(t, localsqs.Path(path))
	if _, err := localsqs.New(localsqs.Path(path)); !errors.Is(err, localsqs.ErrInUse) {
		t.Errorf("error is %v, want ErrInUse", err)
	}
}

func TestACorruptFileIsRefusedAndLeftAsItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	for _, text := range []string{"not a queue", strings.Repeat("garbage ", 4096)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := localsqs.New(localsqs.Path(path)); !errors.Is(err, localsqs.ErrCorrupt) || !strings.Contains(err.Error(), path) {
			t.Errorf("error is %v, want ErrCorrupt and the path", err)
		}
		if got, _ := os.ReadFile(path); string(got) != text {
			t.Error("the file was changed")
		}
	}
}

func TestAFileThatIsMostlyFreeIsCompacted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	srv, err := localsqs.New(localsqs.Path(path), localsqs.NoFsync())
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(srv)
	url := createQueue(t, client, "jobs", nil)
	big := strings.Repeat("x", 1<<20)
	for range 40 {
		send(t, client, url, big)
	}
	for range 39 {
		remove(t, client, url, receive(t, client, url, 1, 0)[0])
	}
	handle := receive(t, client, url, 1, 0)[0]
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	before := size(t, path)
	srv = newServer(t, localsqs.Path(path))
	if after := size(t, path); after > before/2 {
		t.Errorf("the file has %d bytes, %d before", after, before)
	}
	if got := srv.Stats().Queues[0].InFlight; got != 1 {
		t.Errorf("%d messages in flight after the compaction, want 1", got)
	}
	client = newClient(srv)
	first := send(t, client, url, "a")
	if *first.MessageId == *handle.MessageId {
		t.Error("a message id was given out twice")
	}
	remove(t, client, url, handle)
	if got := srv.Stats().Queues[0]; got.InFlight != 0 || got.Visible != 1 {
		t.Errorf("after deleting by the old handle: %+v", got)
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestATruncatedFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	srv, err := localsqs.New(localsqs.Path(path), localsqs.NoFsync())
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(srv)
	url := createQueue(t, client, "jobs", nil)
	for range 20 {
		send(t, client, url, strings.Repeat("x", 100_000))
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, keep := range []int{len(whole) / 2, len(whole) / 10, 8192, 5000, 100} {
		if err := os.WriteFile(path, whole[:keep], 0o600); err != nil {
			t.Fatal(err)
		}
		srv, err := localsqs.New(localsqs.Path(path))
		if err == nil {
			t.Errorf("a file cut to %d of %d bytes was taken", keep, len(whole))
			_ = srv.Close()
		} else if !errors.Is(err, localsqs.ErrCorrupt) {
			t.Errorf("cut to %d bytes: error is %v, want ErrCorrupt", keep, err)
		}
		if got, _ := os.ReadFile(path); string(got) != string(whole[:keep]) {
			t.Errorf("the file cut to %d bytes was changed", keep)
		}
	}
}

func TestDeduplicationAndSequenceOutliveTheServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	var ids, numbers []string
	for range 2 {
		srv, err := localsqs.New(localsqs.Path(path))
		if err != nil {
			t.Fatal(err)
		}
		client := newClient(srv)
		url := createQueue(t, client, "jobs.fifo", map[string]string{"FifoQueue": "true"})
		for _, id := range []string{"same", fmt.Sprint(len(ids))} {
			out, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: &id, MessageGroupId: &id, MessageDeduplicationId: &id})
			if err != nil {
				t.Fatal(err)
			}
			ids, numbers = append(ids, *out.MessageId), append(numbers, *out.SequenceNumber)
		}
		for _, m := range receive(t, client, url, 10, 0) {
			remove(t, client, url, m)
		}
		if err := srv.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if ids[0] != ids[2] || numbers[0] != numbers[2] {
		t.Errorf("the duplicate after the restart is %s %s, want %s %s", ids[2], numbers[2], ids[0], numbers[0])
	}
	if numbers[3] <= numbers[1] {
		t.Errorf("sequence numbers do not rise over a restart: %s after %s", numbers[3], numbers[1])
	}
}

// The files are for their owner alone, whatever they were before; a link that
// was planted in the journal's place is not followed.
func TestHostileLinksAndReadersOfTheQueueFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it has other rights than these")
	}
	dir := filepath.Join(t.TempDir(), "made", "on demand")
	path := filepath.Join(dir, "queue.db")
	victim := filepath.Join(t.TempDir(), "victim")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(victim, "precious")
	modes := func() (text string) {
		t.Helper()
		for _, name := range []string{"", ".journal-0", ".journal-1"} {
			info, err := os.Lstat(path + name)
			if err != nil {
				t.Fatal(err)
			}
			text += info.Mode().String() + " "
		}
		return text
	}
	srv, err := localsqs.New(localsqs.Path(path))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is %v, %v; want it for its owner alone", info.Mode(), err)
	}
	const owner = "-rw------- -rw------- -rw------- "
	if got := modes(); got != owner {
		t.Errorf("the files are %s", got)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".journal-0", ".journal-1", ".compact"} {
		if err := os.Symlink(victim, path+name); err != nil {
			t.Fatal(err)
		}
	}
	srv = newServer(t, localsqs.Path(path))
	client := newClient(srv)
	send(t, client, createQueue(t, client, "jobs", nil), "x")
	if got := modes(); got != owner {
		t.Errorf("after a start on files that others could read they are %s", got)
	}
	if text, err := os.ReadFile(victim); string(text) != "precious" {
		t.Errorf("the target of a planted link holds %q, %v", text, err)
	}
}
