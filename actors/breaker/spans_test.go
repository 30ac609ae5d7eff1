package breaker_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis/actors/breaker"
)

// recorded is a tracer and what it has recorded.
func recorded() (trace.Tracer, *tracetest.SpanRecorder) {
	r := tracetest.NewSpanRecorder()
	return sdk.NewTracerProvider(sdk.WithSpanProcessor(r)).Tracer("test"), r
}

func attr(s sdk.ReadOnlySpan, key string) string {
	for _, kv := range s.Attributes() {
		if kv.Key == attribute.Key(key) {
			return kv.Value.String()
		}
	}
	return ""
}

func TestACallIsASpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracer, spans := recorded()
		b := newBreaker(t, breaker.Settings{}, breaker.WithTracer(tracer))
		last := func() sdk.ReadOnlySpan {
			t.Helper()
			ended := spans.Ended()
			s := ended[len(ended)-1]
			if s.Name() != "breaker https://mail.internal" || s.SpanKind() != trace.SpanKindClient || attr(s, "server.address") != "mail.internal" {
				t.Errorf("span %q of kind %v with %v", s.Name(), s.SpanKind(), s.Attributes())
			}
			return s
		}
		want := func(s sdk.ReadOnlySpan, status codes.Code, pairs ...string) {
			t.Helper()
			if s.Status().Code != status {
				t.Errorf("status %+v, want %v", s.Status(), status)
			}
			for i := 0; i < len(pairs); i += 2 {
				if got := attr(s, "chassis.breaker."+pairs[i]); got != pairs[i+1] {
					t.Errorf("%s is %q, want %q; all: %v", pairs[i], got, pairs[i+1], s.Attributes())
				}
			}
		}
		ctx, parent := tracer.Start(t.Context(), "caller")
		if err := b.Do(ctx, "/send?token=secret", func(ctx context.Context) error {
			_, child := tracer.Start(ctx, "child")
			child.End()
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		ok := last()
		want(ok, codes.Unset, "state", "closed", "verdict", "success", "refused", "", "probe", "")
		if child := spans.Ended()[0]; child.Parent().SpanID() != ok.SpanContext().SpanID() || ok.Parent().SpanID() != parent.SpanContext().SpanID() {
			t.Errorf("caller %v, call %v, child of %v", parent.SpanContext().SpanID(), ok.Parent().SpanID(), child.Parent().SpanID())
		}
		for range 10 {
			_ = b.Do(ctx, "/send?token=secret", func(context.Context) error { return errors.New("the token is secret") })
		}
		want(last(), codes.Error, "state", "closed", "verdict", "failure")
		if got := attr(last(), "error.type"); got != "*errors.errorString" {
			t.Errorf("error.type %q", got)
		}
		if err := b.Do(ctx, "/send", succeed); !errors.Is(err, breaker.ErrOpen) {
			t.Fatal(err)
		}
		want(last(), codes.Error, "state", "open", "refused", "true", "verdict", "")
		if got := attr(last(), "error.type"); got != "open" {
			t.Errorf("error.type %q", got)
		}
		time.Sleep(11 * time.Second) // of the bubble: the open time
		if err := b.Do(ctx, "/send", succeed); err != nil {
			t.Fatal(err)
		}
		want(last(), codes.Unset, "state", "half-open", "probe", "true", "verdict", "success")
		func() {
			defer func() { _ = recover() }()
			_ = b.Do(ctx, "/send", func(context.Context) error { panic("secret") })
		}()
		want(last(), codes.Error, "verdict", "failure")
		if got := attr(last(), "error.type"); got != "panic" {
			t.Errorf("error.type %q", got)
		}
		if err := b.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := b.Do(ctx, "/send", succeed); !errors.Is(err, breaker.ErrStopped) {
			t.Fatal(err)
		}
		want(last(), codes.Error, "refused", "true")
		parent.End()
		for _, s := range spans.Ended() {
			text := s.Name() + s.Status().Description
			for _, kv := range s.Attributes() {
				text += kv.Value.String()
			}
			if len(s.Events()) > 0 || strings.Contains(text, "secret") {
				t.Errorf("span %q shows a secret: %v %v", s.Name(), text, s.Events())
			}
		}
	})
}

// TestASpanOfTransportLastsAsLongAsTheBody also shows that a body that breaks
// off makes the span of a 200 an error.
func TestASpanOfTransportLastsAsLongAsTheBody(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/short":
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "short")
		case "/bad":
			w.WriteHeader(http.StatusBadGateway)
		default:
			_, _ = io.WriteString(w, "whole")
		}
	}))
	defer server.Close()
	tracer, spans := recorded()
	b, err := breaker.Spawn(newSystem(t), server.URL, breaker.Settings{}, breaker.WithTracer(tracer))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Stop(context.Background()) }()
	inner := make(chan trace.SpanContext, 10)
	client := &http.Client{Transport: b.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		inner <- trace.SpanContextFromContext(r.Context())
		return http.DefaultTransport.RoundTrip(r)
	}))}
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for i, c := range []struct {
		path, verdict, status, kind string
		code                        codes.Code
	}{
		{"/whole", "success", "200", "", codes.Unset},
		{"/short", "failure", "200", "*errors.errorString", codes.Error},
		{"/bad", "failure", "502", "", codes.Error},
	} {
		res, err := client.Get(server.URL + c.path)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(spans.Ended()); n != i && c.path != "/bad" {
			t.Errorf("%s: %d spans ended before the body was read", c.path, n)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		s := spans.Ended()[i]
		if attr(s, "chassis.breaker.verdict") != c.verdict || attr(s, "http.response.status_code") != c.status ||
			attr(s, "error.type") != c.kind || s.Status().Code != c.code || attr(s, "server.port") == "" {
			t.Errorf("%s: %v %+v", c.path, s.Attributes(), s.Status())
		}
		if got := <-inner; got.SpanID() != s.SpanContext().SpanID() {
			t.Errorf("%s: the base transport ran in span %v", c.path, got.SpanID())
		}
	}
	if err := b.ForceOpen("", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Get(server.URL); !errors.Is(err, breaker.ErrOpen) {
		t.Fatal(err)
	}
	if s := spans.Ended()[3]; attr(s, "chassis.breaker.refused") != "true" || attr(s, "chassis.breaker.state") != "forced-open" {
		t.Errorf("%v", s.Attributes())
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestNoSpansCostNothing: without a tracer a call allocates nothing.
func TestNoSpansCostNothing(t *testing.T) {
	b := newBreaker(t, breaker.Settings{})
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() { _ = b.Do(ctx, "/v1/send", succeed) }); n != 0 {
		t.Errorf("a call takes %v allocations", n)
	}
}

func TestATracerIsNeeded(t *testing.T) {
	if _, err := breaker.Spawn(newSystem(t), "https://mail.internal", breaker.Settings{}, breaker.WithTracer(nil)); err == nil {
		t.Error("no error")
	}
}
