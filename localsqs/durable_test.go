package localsqs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sambatech/chassis/localsqs"
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
