package sqsclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/queue/sqsclient"
)

// bare makes an environment in which the SDK finds nothing.
func bare(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
		"AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"} {
		t.Setenv(name, "")
	}
	none := t.TempDir() + "/none"
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func wantError(t *testing.T, err, kind error, says ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got %v, want %v", err, kind)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%q does not say %q", err, s)
		}
	}
}

var keys = sqsclient.WithCredentials(credentials.NewStaticCredentialsProvider("AKID", "secret", ""))

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	return server
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("Connection", "close")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func newClient(t *testing.T, s sqsclient.Settings, opts ...sqsclient.Option) *sqs.Client {
	t.Helper()
	client, err := sqsclient.New(t.Context(), s, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestMalformedEndpoint(t *testing.T) {
	for _, endpoint := range []string{"localhost:9324", "sqs", "ftp://host", "http://", "https://?x=1", "http://host/?q", "http://h/#f", "http://a b/",
		"http://user:pw@host", "ftp://user:pw@host", "http://user:pw@host:x", "http://user:p/pw@host", "http://user:pw@host?q", "://", "http://[::1", "\x00"} {
		_, err := sqsclient.New(t.Context(), sqsclient.Settings{Endpoint: endpoint, Region: "x"})
		wantError(t, err, sqsclient.ErrEndpoint)
		if strings.Contains(err.Error(), "pw") {
			t.Error("a password is shown:", err)
		}
	}
}

func TestNoRegion(t *testing.T) {
	bare(t)
	_, err := sqsclient.New(t.Context(), sqsclient.Settings{Profile: ""})
	wantError(t, err, sqsclient.ErrRegion, "AWS_REGION")
	t.Setenv("AWS_REGION", "eu-central-1")
	if client := newClient(t, sqsclient.Settings{}); client.Options().Region != "eu-central-1" {
		t.Fatal("region of the environment not taken:", client.Options().Region)
	}
	if client := newClient(t, sqsclient.Settings{Region: "sa-east-1"}); client.Options().Region != "sa-east-1" {
		t.Fatal("the setting does not win:", client.Options().Region)
	}
}

func TestUnknownProfile(t *testing.T) {
	bare(t)
	_, err := sqsclient.New(t.Context(), sqsclient.Settings{Profile: "nobody", Region: "x"})
	if err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Fatal(err)
	}
}

func TestNoCredentialsAreToldBeforeAndInTheFirstCall(t *testing.T) {
	bare(t)
	var calls atomic.Int32
	server := serve(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	client := newClient(t, sqsclient.Settings{Endpoint: server.URL, Region: "eu-central-1"})
	wantError(t, sqsclient.Check(t.Context(), client), sqsclient.ErrCredentials, "AWS_ACCESS_KEY_ID")
	_, err := client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("q")})
	wantError(t, err, sqsclient.ErrCredentials)
	if calls.Load() != 0 {
		t.Error("requests were made without credentials")
	}
}

func TestAnonymousCredentialsMeanThatNothingIsSigned(t *testing.T) {
	bare(t)
	var signed atomic.Bool
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		signed.Store(r.Header.Get("Authorization") != "")
		answer(w, 200, `{}`)
	})
	client := newClient(t, sqsclient.Settings{Endpoint: server.URL, Region: "eu-central-1"}, sqsclient.WithCredentials(aws.AnonymousCredentials{}))
	if err := sqsclient.Check(t.Context(), client); err != nil {
		t.Error(err)
	}
	if signed.Load() {
		t.Error("the request was signed")
	}
}

func TestCredentialsRefused(t *testing.T) {
	bare(t)
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 403, `{"__type":"com.amazon.coral.service#UnrecognizedClientException","message":"The security token included in the request is invalid."}`)
	})
	client := newClient(t, sqsclient.Settings{Endpoint: server.URL, Region: "eu-central-1"}, keys)
	wantError(t, sqsclient.Check(t.Context(), client), sqsclient.ErrRefused, server.URL, "eu-central-1")
}

func TestThatQueuesMayNotBeListedIsNoError(t *testing.T) {
	bare(t)
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 403, `{"__type":"com.amazon.coral.service#AccessDeniedException","message":"not authorized to perform: sqs:listqueues"}`)
	})
	client := newClient(t, sqsclient.Settings{Endpoint: server.URL, Region: "eu-central-1"}, keys)
	if err := sqsclient.Check(t.Context(), client); err != nil {
		t.Fatal(err)
	}
}

func TestNobodyAnswers(t *testing.T) {
	bare(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := "http://" + listener.Addr().String()
	_ = listener.Close()
	client := newClient(t, sqsclient.Settings{Endpoint: endpoint, Region: "x", MaxAttempts: 1}, keys)
	wantError(t, sqsclient.Check(t.Context(), client), sqsclient.ErrUnreachable, endpoint)
}

// TestNobodySaysAnything: something takes connections at the endpoint, and no
// more.
func TestNobodySaysAnything(t *testing.T) {
	bare(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	endpoint := "http://" + listener.Addr().String()
	client := newClient(t, sqsclient.Settings{Endpoint: endpoint, Region: "x"}, keys)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	wantError(t, sqsclient.Check(ctx, client), sqsclient.ErrUnreachable, endpoint)
}

func TestExplainLeavesOtherErrorsAlone(t *testing.T) {
	client := newClient(t, sqsclient.Settings{}, sqsclient.WithHTTPClient(http.DefaultClient))
	if err := sqsclient.Explain(client, nil); err != nil {
		t.Fatal(err)
	}
	if err := sqsclient.Explain(client, io.ErrUnexpectedEOF); !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, sqsclient.ErrUnreachable) {
		t.Fatal(err)
	}
}

func TestMaxAttempts(t *testing.T) {
	bare(t)
	for _, attempts := range []int{0, 1, 5} {
		var calls atomic.Int32
		server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			calls.Add(1)
			answer(w, 503, `{"__type":"ServiceUnavailable"}`)
		})
		client := newClient(t, sqsclient.Settings{Endpoint: server.URL, Region: "x", MaxAttempts: attempts, MaxBackoff: 1}, keys)
		if err := sqsclient.Check(t.Context(), client); err == nil {
			t.Fatal("a service that answers 503 passed")
		}
		want := int32(attempts)
		if attempts == 0 {
			want = 3
		}
		if calls.Load() != want {
			t.Errorf("max_attempts %d: %d calls, want %d", attempts, calls.Load(), want)
		}
	}
}

// Forty requests at once, twice over, need no more than forty connections if
// they are kept; with ten kept the second round dials thirty again.
func TestIdleConnectionsAreKept(t *testing.T) {
	bare(t)
	const burst = 40
	for _, tc := range []struct{ idle, want int }{{0, burst}, {10, 2*burst - 10}} {
		var dialed atomic.Int32
		arrived, release := make(chan struct{}, burst), make(chan struct{})
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			arrived <- struct{}{}
			<-release
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			_, _ = io.WriteString(w, `{}`)
		}))
		server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				dialed.Add(1)
			}
		}
		server.Start()
		client := newClient(t, sqsclient.Settings{Endpoint: server.URL, Region: "x", IdleConnections: tc.idle}, keys)
		for range 2 {
			var wg sync.WaitGroup
			for range burst {
				wg.Go(func() {
					if _, err := client.ListQueues(context.Background(), &sqs.ListQueuesInput{}); err != nil {
						t.Error(err)
					}
				})
			}
			for range burst {
				<-arrived
			}
			for range burst {
				release <- struct{}{}
			}
			wg.Wait()
		}
		server.Close()
		if int(dialed.Load()) != tc.want {
			t.Errorf("idle_connections %d: %d connections, want %d", tc.idle, dialed.Load(), tc.want)
		}
	}
}

func TestEmbeddedClientNeedsNothing(t *testing.T) {
	bare(t)
	var seen *http.Request
	client := newClient(t, sqsclient.Settings{}, sqsclient.WithHTTPClient(doerFunc(func(r *http.Request) (*http.Response, error) {
		seen = r
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(strings.NewReader(`{}`))}, nil
	})))
	if err := sqsclient.Check(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	if seen.Header.Get("Authorization") != "" {
		t.Error("a request within the process was signed")
	}
	if seen.URL.Host != "sqs.local" {
		t.Error("host:", seen.URL.Host)
	}
}

type doerFunc func(*http.Request) (*http.Response, error)

func (f doerFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

func TestOptionsAreAppliedLast(t *testing.T) {
	bare(t)
	set := sqsclient.WithOptions(func(o *sqs.Options) { o.AppID = "mine" })
	if got := newClient(t, sqsclient.Settings{Region: "x"}, set).Options().AppID; got != "mine" {
		t.Error(got)
	}
	if got := newClient(t, sqsclient.Settings{}, set, sqsclient.WithHTTPClient(http.DefaultClient)).Options().AppID; got != "mine" {
		t.Error(got)
	}
}

func ExampleNew() {
	_, err := sqsclient.New(context.Background(), sqsclient.Settings{Endpoint: "localhost:9324", Region: "eu-central-1"})
	fmt.Println(err)
	// Output: sqsclient: the endpoint of the queue service is not a usable URL: "localhost:9324" has scheme "localhost"; write http://host:port or https://host
}
