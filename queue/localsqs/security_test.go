package localsqs_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/queue/localsqs"
)

func listen(t *testing.T, srv *localsqs.Server) string {
	t.Helper()
	url, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// post sends a request as a browser or a script could, and returns the answer.
func post(t *testing.T, url, host string, header map[string]string, body string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	for k, v := range header {
		r.Header.Set(k, v)
	}
	return do(t, r)
}

func do(t *testing.T, r *http.Request) (int, http.Header, string) {
	t.Helper()
	r.Close = true
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // it is read to its end
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(text)
}

var listQueues = map[string]string{"X-Amz-Target": "AmazonSQS.ListQueues", "Content-Type": "application/x-amz-json-1.0"}

func TestAnUnsignedRequestIsRefusedOnceThereAreCredentials(t *testing.T) {
	url := listen(t, newServer(t, localsqs.Credentials("id", "secret")))
	status, header, _ := post(t, url, "", listQueues, "{}")
	if got := header.Get("X-Amzn-Query-Error"); status != 403 || got != "MissingAuthenticationToken;Sender" {
		t.Errorf("refused with %d %s", status, got)
	}
}

func TestSignaturesAreChecked(t *testing.T) {
	url := listen(t, newServer(t, localsqs.Credentials("id", "secret")))
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	list := func(id, secret string, change func(*http.Request)) error {
		client := sqs.New(sqs.Options{Region: "eu-west-1", BaseEndpoint: &url, Retryer: aws.NopRetryer{},
			Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
			HTTPClient:  &http.Client{Transport: changed{transport, change}}})
		_, err := client.ListQueues(t.Context(), &sqs.ListQueuesInput{QueueNamePrefix: aws.String("a b")})
		return err
	}
	if err := list("id", "secret", func(*http.Request) {}); err != nil {
		t.Errorf("a good signature is refused: %v", err)
	}
	wantCode(t, list("id", "wrong", func(*http.Request) {}), "SignatureDoesNotMatch")
	wantCode(t, list("other", "secret", func(*http.Request) {}), "InvalidClientTokenId")
	wantCode(t, list("id", "secret", func(r *http.Request) { r.Header.Set("X-Amz-Target", "AmazonSQS.CreateQueue") }), "SignatureDoesNotMatch")
	wantCode(t, list("id", "secret", func(r *http.Request) { r.URL.Path = "/other" }), "SignatureDoesNotMatch")
	wantCode(t, list("id", "secret", func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(`{"QueueNamePrefix":"b"}`)), 23
	}), "SignatureDoesNotMatch")
	wantCode(t, list("id", "secret", func(r *http.Request) { r.Header.Set("X-Amz-Date", "20200101T000000Z") }), "SignatureDoesNotMatch")
	wantCode(t, list("id", "secret", func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 nonsense") }), "IncompleteSignature")
	wantCode(t, list("id", "secret", func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), ";host;", ";", 1))
	}), "SignatureDoesNotMatch")
}

// changed changes requests after they were signed.
type changed struct {
	next   http.RoundTripper
	change func(*http.Request)
}

func (c changed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	c.change(r)
	return c.next.RoundTrip(r)
}

func TestASignatureOfAnotherTimeIsRefused(t *testing.T) {
	url := listen(t, newServer(t, localsqs.Credentials("id", "secret"), localsqs.Clock(ahead{})))
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := sqs.New(sqs.Options{Region: "eu-west-1", BaseEndpoint: &url, HTTPClient: &http.Client{Transport: transport},
		Retryer: retry.AddWithMaxAttempts(retry.NewStandard(), 1), Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")})
	_, err := client.ListQueues(t.Context(), &sqs.ListQueuesInput{})
	wantCode(t, err, "SignatureDoesNotMatch")
}

func TestAForeignHostIsRefused(t *testing.T) {
	url := listen(t, newServer(t, localsqs.Hosts("queue")))
	for host, want := range map[string]int{"": 200, "localhost:1": 200, "[::1]:80": 200, "queue": 200, "sqs.localhost": 200, "attacker.example": 403, "localhost.attacker.example": 403} {
		if status, _, text := post(t, url, host, listQueues, "{}"); status != want {
			t.Errorf("host %q: status %d, want %d: %s", host, status, want, text)
		}
	}
}

func TestRequestsOfPagesAreRefused(t *testing.T) {
	url := listen(t, newServer(t))
	for name, header := range map[string]map[string]string{
		"a form's content type": {"X-Amz-Target": "AmazonSQS.ListQueues", "Content-Type": "text/plain"},
		"no target":             {"Content-Type": "application/x-amz-json-1.0"},
	} {
		if status, h, text := post(t, url, "", header, "{}"); status != 400 || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: status %d: %s", name, status, text)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, h, _ := do(t, r); status != 405 || h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a preflight got status %d", status)
	}
	if status, _, _ := post(t, url, "", listQueues, strings.Repeat(" ", 8<<20+1)); status != 413 {
		t.Errorf("a body of over 8 MiB got status %d", status)
	}
}

func TestListenOffLoopbackNeedsCredentials(t *testing.T) {
	srv := newServer(t)
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "example.com:0", "nonsense"} {
		if url, err := srv.Listen(addr); err == nil {
			t.Errorf("%s: listens at %s", addr, url)
		}
	}
	if _, err := newServer(t, localsqs.Credentials("id", "secret")).Listen("127.0.0.1:0"); err != nil {
		t.Error(err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := localsqs.New(localsqs.Account("12"), localsqs.Region("Mars!"), localsqs.Credentials("", "x"), localsqs.Clock(nil), localsqs.Logger(nil))
	for _, part := range []string{`"12"`, `"Mars!"`, "access key id", "clock", "logger"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error is %v, want it to name %s", err, part)
		}
	}
}

func TestThePagesShowTheQueues(t *testing.T) {
	srv := newServer(t)
	client := newClient(srv)
	url := createQueue(t, client, "jobs", nil)
	send(t, client, url, "a body")
	send(t, client, url, "another")
	receive(t, client, url, 1, 0)
	page := func(path string, want int) string {
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+path, nil))
		if w.Code != want {
			t.Errorf("%s: status %d, want %d: %s", path, w.Code, want, w.Body)
		}
		return w.Body.String()
	}
	for path, want := range map[string][]string{
		"/-/health":                  {"ok"},
		"/-/stats":                   {`"in_flight": 1`, `"visible": 1`, `"SendMessage": 2`},
		"/-/metrics":                 {`localsqs_messages{queue="jobs",region="us-east-1",state="in_flight"} 1`, `localsqs_requests_total{operation="SendMessage"} 2`},
		"/-/peek?queue=jobs":         {`"body": "a body"`, `"state": "in flight"`, `"body": "another"`, `"state": "visible"`},
		"/-/peek?queue=jobs&max=one": nil,
		"/-/peek?queue=none":         nil,
		"/-/nothing":                 nil,
	} {
		status := 200
		switch {
		case strings.Contains(path, "max=one"):
			status = 400
		case want == nil:
			status = 404
		}
		text := page(path, status)
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("%s has no %s: %s", path, part, text)
			}
		}
	}
	if s := srv.Stats().Queues[0]; s.Visible != 1 || s.InFlight != 1 || s.OldestAge <= 0 || s.OldestAge > time.Minute {
		t.Errorf("stats are %+v", s)
	}
}
