package localsqs_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/queue/localsqs"
)

// plausible is a request with headers that are in order and a wrong signature:
// an access key's id is no secret.
func plausible(host string, length int) string {
	now := time.Now().UTC()
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: %s\r\nX-Amz-Target: AmazonSQS.SendMessage\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amz-Date: %s\r\n"+
		"Authorization: AWS4-HMAC-SHA256 Credential=id/%s/us-east-1/sqs/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=%064d\r\nContent-Length: %d\r\n\r\n",
		host, now.Format("20060102T150405Z"), now.Format("20060102"), 0, length)
}

func signedClient(t *testing.T, url string, transport http.RoundTripper) *sqs.Client {
	t.Helper()
	return sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: &url, HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")})
}

// heapDuring is the most that the heap grew to while f ran, above what it was before.
func heapDuring(f func()) (most uint64) {
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	done := make(chan struct{})
	var watched sync.WaitGroup
	watched.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapInuse+now.StackInuse)
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	})
	f()
	close(done)
	watched.Wait()
	return most - min(most, before.HeapInuse+before.StackInuse)
}

// Three hundred requests of 8 MiB have a wrong signature, which can be known only
// once the body is there.
func TestHostileBodiesTakeLittleMemory(t *testing.T) {
	const requests, size = 300, 8 << 20
	url := listen(t, newServer(t, localsqs.Credentials("id", "secret")))
	host := strings.TrimPrefix(url, "http://")
	chunk := bytes.Repeat([]byte("x"), 64<<10)
	statuses := map[string]int{}
	var mu sync.Mutex
	grown := heapDuring(func() {
		var all sync.WaitGroup
		for range requests {
			all.Go(func() {
				conn, err := net.Dial("tcp", host)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close() //nolint:errcheck // nothing is left to be sent
				_, _ = io.WriteString(conn, plausible(host, size))
				for sent := 0; sent < size; sent += len(chunk) {
					if _, err := conn.Write(chunk); err != nil {
						break
					}
				}
				answer := make([]byte, 12)
				_, _ = io.ReadFull(conn, answer)
				mu.Lock()
				statuses[string(answer)]++
				mu.Unlock()
			})
		}
		all.Wait()
	})
	t.Logf("the heap grew by %d MiB; the answers were %v", grown>>20, statuses)
	if grown > 128<<20 {
		t.Errorf("the heap grew by %d MiB, want at most 128", grown>>20)
	}
	if statuses["HTTP/1.1 200"] > 0 || statuses["HTTP/1.1 403"] == 0 {
		t.Errorf("the answers were %v, want refusals", statuses)
	}
}

// Six hundred connections hold a request without its body; others are
// served all the while, with a large body too.
func TestHostileBodiesThatNeverComeLockNobodyOut(t *testing.T) {
	srv := newServer(t, localsqs.Credentials("id", "secret"))
	url := listen(t, srv)
	host := strings.TrimPrefix(url, "http://")
	part := strings.Repeat("x", 32<<10)
	for range 600 {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // nothing was to come
		if _, err := io.WriteString(conn, plausible(host, 8<<20)+part); err != nil {
			t.Fatal(err)
		}
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := signedClient(t, url, transport)
	queue := createQueue(t, client, "jobs", nil)
	send(t, client, queue, strings.Repeat("y", 1<<20))
	for range 100 {
		status, _, _ := do(t, probe(t, url+"/-/health"))
		if status != http.StatusOK {
			t.Fatalf("a probe got %d", status)
		}
	}
}

func probe(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A refused request does not hold its connection by sending on for ever.
func TestHostileSenderIsCutOffAfterItsRefusal(t *testing.T) {
	url := listen(t, newServer(t, localsqs.Credentials("id", "secret")))
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the server has ended it
	began := time.Now()
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n")
	answer, err := io.ReadAll(conn)
	if took := time.Since(began); !strings.HasPrefix(string(answer), "HTTP/1.1 403") || !strings.Contains(string(answer), "Connection: close") || took > 15*time.Second {
		t.Errorf("after %v: %v %.200s", took, err, answer)
	}
}

func TestHostileConnectionsAreBounded(t *testing.T) {
	srv := newServer(t, localsqs.MaxConnections(8))
	url := listen(t, srv)
	host := strings.TrimPrefix(url, "http://")
	var open []net.Conn
	for range 8 {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
	}
	more, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(more); len(b) != 0 {
		t.Errorf("one connection too many was served: %q, %v", b, err)
	}
	_ = more.Close()
	if got := srv.Stats().Connections; got.Open != 8 || got.Refused != 1 {
		t.Errorf("connections %+v, want 8 open and 1 refused", got)
	}
	for _, conn := range open {
		_ = conn.Close()
	}
	deadline := time.Now().Add(20 * time.Second)
	for srv.Stats().Connections.Open > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("closed connections are counted still: %+v", srv.Stats().Connections)
		}
		time.Sleep(time.Millisecond) // sockets are outside of a synctest bubble
	}
	if status, _, text := post(t, url, "", listQueues, "{}"); status != 200 {
		t.Errorf("after the others have left: %d %s", status, text)
	}
	if _, err := localsqs.New(localsqs.MaxConnections(0)); err == nil {
		t.Error("no connections at all are taken as an option")
	}
}

// Who has no access key sees whether the server is well, and no message.
func TestHostileLooksAreRefusedOnceThereAreCredentials(t *testing.T) {
	srv := newServer(t, localsqs.Credentials("id", "secret"))
	client := newClient(srv)
	send(t, client, createQueue(t, client, "jobs", nil), "secret body")
	url := listen(t, srv)
	for _, path := range []string{"/-/peek?queue=jobs", "/-/stats", "/-/metrics", "/-/nothing"} {
		if status, _, text := do(t, probe(t, url+path)); status != http.StatusForbidden || strings.Contains(text, "jobs") || strings.Contains(text, "body") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if status, _, text := do(t, probe(t, url+"/-/health")); status != http.StatusOK {
		t.Errorf("a probe: %d %s", status, text)
	}
	sign := func(path, secret string) *http.Request {
		r := probe(t, url+path)
		const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
		if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "id", SecretAccessKey: secret}, r, empty, "sqs", "us-east-1", time.Now()); err != nil {
			t.Fatal(err)
		}
		return r
	}
	status, _, text := do(t, sign("/-/peek?queue=jobs&max=3", "secret"))
	var found []localsqs.Peeked
	if err := json.Unmarshal([]byte(text), &found); status != 200 || err != nil || len(found) != 1 || found[0].Body != "secret body" {
		t.Errorf("a signed look: %d %s", status, text)
	}
	if status, _, text := do(t, sign("/-/peek?queue=jobs", "wrong")); status != http.StatusForbidden {
		t.Errorf("a look signed with a wrong secret: %d %s", status, text)
	}
	r := sign("/-/peek?queue=jobs", "secret")
	r.URL.RawQuery = "queue=other"
	if status, _, text := do(t, r); status != http.StatusForbidden {
		t.Errorf("a look at another queue than was signed: %d %s", status, text)
	}
}

func TestHostileListenersHearNothingOverTLS(t *testing.T) {
	kit := httptest.NewTLSServer(nil) // for its certificate
	defer kit.Close()
	srv := newServer(t, localsqs.Credentials("id", "secret"), localsqs.TLS(kit.TLS))
	url := listen(t, srv)
	if !strings.HasPrefix(url, "https://") {
		t.Fatalf("listens at %s", url)
	}
	roots := x509.NewCertPool()
	roots.AddCert(kit.Certificate())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	client := signedClient(t, url, transport)
	queue := createQueue(t, client, "jobs", nil)
	if !strings.HasPrefix(*queue, "https://") {
		t.Errorf("the queue's URL is %s", *queue)
	}
	send(t, client, queue, "x")
	if got := receive(t, client, queue, 1, 0); len(got) != 1 {
		t.Errorf("received %d messages", len(got))
	}
	if res, err := http.Get("http://" + strings.TrimPrefix(url, "https://") + "/-/health"); err == nil {
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			t.Error("it answers without TLS")
		}
	}
	old := &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS11}
	if conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), old); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 is served")
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
