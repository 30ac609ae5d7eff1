package grpcbreaker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/breaker/grpcbreaker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answer says how the test server ends the next RPCs.
type answer struct {
	code codes.Code
	hang bool
}

// dial starts a real gRPC server in memory, with one unary and one streaming
// method, and a guarded connection to it.
func dial(t *testing.T, s breaker.Settings, answers <-chan answer, more ...grpc.DialOption) (*breaker.Breaker, *grpc.ClientConn) {
	t.Helper()
	respond := func(ctx context.Context) error {
		a := <-answers
		if a.hang {
			<-ctx.Done()
			return status.FromContextError(ctx.Err()).Err()
		}
		return status.Error(a.code, "as ordered")
	}
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "test.Users", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Get", Handler: func(_ any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.StringValue)
			if err := dec(in); err != nil {
				return nil, err
			}
			return in, respond(ctx)
		}}},
		Streams: []grpc.StreamDesc{{StreamName: "Silent", ServerStreams: true, ClientStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
			<-stream.Context().Done()
			return stream.Context().Err()
		}}, {StreamName: "List", ServerStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
			for range 2 {
				if err := stream.SendMsg(wrapperspb.String("one")); err != nil {
					return err
				}
			}
			return respond(stream.Context())
		}}},
	}, struct{}{})
	l := bufconn.Listen(1 << 16)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-done })

	system := actor.NewActorSystem(actor.WithDeadLetterThrottleInterval(time.Millisecond),
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	t.Cleanup(system.Shutdown)
	b, err := breaker.Spawn(system, "https://users.internal:8443", s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Stop(context.Background()) })
	opts := append(grpcbreaker.DialOptions(b), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	conn, err := grpc.NewClient("passthrough:///users", append(opts, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return b, conn
}

func get(ctx context.Context, conn *grpc.ClientConn) error {
	return conn.Invoke(ctx, "/test.Users/Get", wrapperspb.String("1"), new(wrapperspb.StringValue))
}

func list(ctx context.Context, conn *grpc.ClientConn) error {
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/test.Users/List")
	if err != nil {
		return err
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	for {
		if err := s.RecvMsg(new(wrapperspb.StringValue)); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestCodes(t *testing.T) {
	want := map[codes.Code]int{codes.OK: 0, codes.NotFound: 0, codes.InvalidArgument: 0, codes.PermissionDenied: 0, codes.Unimplemented: 0,
		codes.Unavailable: 1, codes.ResourceExhausted: 1, codes.DeadlineExceeded: 1, codes.Internal: 1, codes.Unknown: 1, codes.DataLoss: 1}
	for name, call := range map[string]func(context.Context, *grpc.ClientConn) error{"unary": get, "stream": list} {
		t.Run(name, func(t *testing.T) {
			answers := make(chan answer, 1)
			b, conn := dial(t, breaker.Settings{}, answers)
			for code, failures := range want {
				answers <- answer{code: code}
				if err := call(t.Context(), conn); status.Code(err) != code {
					t.Fatalf("%v came back as %v", code, err)
				}
				if got := b.Snapshot().Entries[0].Failures; got != failures {
					t.Errorf("%v: %d failures, want %d", code, got, failures)
				}
				if err := b.Reset(""); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestRefusal(t *testing.T) {
	answers := make(chan answer, 1)
	b, conn := dial(t, breaker.Settings{ClosedFailLimit: 1}, answers)
	answers <- answer{code: codes.Unavailable}
	_ = get(t.Context(), conn)
	for _, err := range []error{get(t.Context(), conn), list(t.Context(), conn)} {
		open, ok := errors.AsType[*breaker.OpenError](err)
		if !ok || !errors.Is(err, breaker.ErrOpen) || status.Code(err) != codes.Unavailable || open.RetryAfter() <= 0 {
			t.Errorf("%v", err)
		}
	}
	if err := b.Reset(""); err != nil {
		t.Fatal(err)
	}
	if err := b.ForceOpen("/test.Users/List", 0); err != nil {
		t.Fatal(err)
	}
	answers <- answer{}
	if err := get(t.Context(), conn); err != nil {
		t.Error(err)
	}
	if err := list(t.Context(), conn); !errors.Is(err, breaker.ErrOpen) {
		t.Error(err)
	}
}

func TestTimeoutAndCancellation(t *testing.T) {
	answers := make(chan answer, 1)
	b, conn := dial(t, breaker.Settings{RequestTimeout: 50 * time.Millisecond}, answers)
	answers <- answer{hang: true}
	if err := get(t.Context(), conn); status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
	if got := b.Snapshot().Entries[0].Failures; got != 1 {
		t.Errorf("%d failures after a time-out", got)
	}
	for name, call := range map[string]func(context.Context, *grpc.ClientConn) error{"unary": get, "stream": list} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Millisecond, cancel)
		answers <- answer{hang: true}
		if err := call(ctx, conn); status.Code(err) != codes.Canceled {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		if got := b.Snapshot().Entries[0].Failures; got != 1 {
			t.Errorf("%s: %d failures after a cancellation", name, got)
		}
	}
}

// TestWaysOfReadingStreams is the table of ways of reading × answer × state.
func TestWaysOfReadingStreams(t *testing.T) {
	const pause = 20 * time.Second // longer than every time-out of the settings
	const deadline = time.Minute
	recv := func(s grpc.ClientStream) error { return s.RecvMsg(new(wrapperspb.StringValue)) }
	all := func(s grpc.ClientStream) error {
		for {
			if err := recv(s); err != nil {
				return err
			}
		}
	}
	type reader struct {
		name   string
		whole  bool // to the end
		probe  breaker.Verdict
		closed breaker.Verdict // where the answer is good
		read   func(s grpc.ClientStream, cancel func())
	}
	readers := []reader{
		{"read to the end", true, breaker.Success, breaker.Success, func(s grpc.ClientStream, _ func()) { _ = all(s) }},
		{"a pause, read", true, breaker.Neutral, breaker.Success, func(s grpc.ClientStream, _ func()) { time.Sleep(pause); _ = all(s) }},
		{"one message, a pause, read", true, breaker.Success, breaker.Success, func(s grpc.ClientStream, _ func()) { _ = recv(s); time.Sleep(pause); _ = all(s) }},
		{"one message, cancelled", false, breaker.Success, breaker.Success, func(s grpc.ClientStream, cancel func()) { _ = recv(s); cancel() }},
		{"one message, a pause, cancelled", false, breaker.Success, breaker.Success, func(s grpc.ClientStream, cancel func()) { _ = recv(s); time.Sleep(pause); cancel() }},
		{"one message, cancelled, read", false, breaker.Success, breaker.Success, func(s grpc.ClientStream, cancel func()) { _ = recv(s); cancel(); _ = all(s) }},
		{"one message, the deadline in a pause", false, breaker.Success, breaker.Success, func(s grpc.ClientStream, _ func()) { _ = recv(s); time.Sleep(deadline + time.Second); _ = all(s) }},
		{"the deadline in a pause", false, breaker.Neutral, breaker.Neutral, func(s grpc.ClientStream, _ func()) { time.Sleep(deadline + time.Second); _ = all(s) }},
		{"cancelled unread", false, breaker.Neutral, breaker.Neutral, func(_ grpc.ClientStream, cancel func()) { cancel() }},
		{"never read", false, breaker.Neutral, breaker.Neutral, func(_ grpc.ClientStream, cancel func()) { time.Sleep(pause); cancel() }},
	}
	for _, r := range readers {
		for _, code := range []codes.Code{codes.OK, codes.NotFound, codes.Unavailable} {
			for _, half := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%v/half-open=%v", r.name, code, half), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						answers := make(chan answer, 1)
						b, conn := dial(t, breaker.Settings{ClosedFailLimit: 3, HalfSuccessLimit: 2}, answers)
						_ = b.Do(t.Context(), "", func(context.Context) error { return errors.New("down") })
						if half {
							for range 2 {
								_ = b.Do(t.Context(), "", func(context.Context) error { return errors.New("down") })
							}
							time.Sleep(10 * time.Second)
							synctest.Wait()
						}
						ctx, cancel := context.WithTimeout(t.Context(), deadline)
						defer cancel()
						answers <- answer{code: code}
						s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/test.Users/List")
						if err != nil {
							t.Fatal(err)
						}
						_ = s.CloseSend()
						r.read(s, cancel)
						synctest.Wait()
						want := r.closed
						if half {
							want = r.probe
						} else if r.whole && code == codes.Unavailable {
							want = breaker.Failure
						}
						e := b.Snapshot().Entries[0]
						got := breaker.Neutral
						switch {
						case half && (e.State == breaker.Open), !half && e.Failures == 2:
							got = breaker.Failure
						case half && e.Successes == 1, !half && e.Failures == 0:
							got = breaker.Success
						}
						if got != want || e.Probes != 0 {
							t.Errorf("counted as %v, want %v; %d slots held", got, want, e.Probes)
						}
					})
				})
			}
		}
	}
}

// TestAStreamThatIsSilentFailsItsProbe, from when its caller waits.
func TestAStreamThatIsSilentFailsItsProbe(t *testing.T) {
	for _, pause := range []time.Duration{0, 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			b, conn := dial(t, breaker.Settings{ClosedFailLimit: 1}, make(chan answer))
			_ = b.Do(t.Context(), "", func(context.Context) error { return errors.New("down") })
			time.Sleep(10 * time.Second)
			synctest.Wait()
			ctx, cancel := context.WithCancel(t.Context())
			s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.Users/Silent")
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(pause)
			done := make(chan struct{})
			go func() { defer close(done); _ = s.RecvMsg(new(wrapperspb.StringValue)) }()
			time.Sleep(5*time.Second - time.Nanosecond)
			synctest.Wait()
			if b.State() != breaker.HalfOpen {
				t.Errorf("%v before its time", b.State())
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if b.State() != breaker.Open {
				t.Errorf("%v after its time", b.State())
			}
			cancel()
			<-done
		})
	}
}

// TestMessagesThatTheClientRefusesAreNeutral: too large to send or to take, or
// not to be encoded.
func TestMessagesThatTheClientRefusesAreNeutral(t *testing.T) {
	answers := make(chan answer)
	close(answers) // the server answers well
	b, conn := dial(t, breaker.Settings{}, answers)
	_ = b.Do(t.Context(), "", func(context.Context) error { return errors.New("down") }) // a success would clear it
	large := wrapperspb.String(strings.Repeat("x", 1000))
	for name, call := range map[string]func() error{
		"too large to send": func() error {
			return conn.Invoke(t.Context(), "/test.Users/Get", large, new(wrapperspb.StringValue), grpc.MaxCallSendMsgSize(100))
		},
		"too large to take": func() error {
			return conn.Invoke(t.Context(), "/test.Users/Get", large, new(wrapperspb.StringValue), grpc.MaxCallRecvMsgSize(100))
		},
		"not to be encoded": func() error {
			return conn.Invoke(t.Context(), "/test.Users/Get", "no message", new(wrapperspb.StringValue))
		},
		"not to be encoded, in a stream": func() error {
			s, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.Users/List")
			if err != nil {
				return err
			}
			return s.SendMsg("no message")
		},
	} {
		if err := call(); err == nil || b.Snapshot().Entries[0].Failures != 1 {
			t.Errorf("%s: %v, %d failures", name, err, b.Snapshot().Entries[0].Failures)
		}
	}
}

// TestStreamsThatAreLeftClearNoFailure: a client reads the first message of each
// stream and cancels, which is how a stream is closed. One call in twenty fails,
// never two in a row.
func TestStreamsThatAreLeftClearNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := make(chan answer)
		close(answers) // each stream ends well
		b, conn := dial(t, breaker.Settings{}, answers)
		for i := range 400 {
			if i%20 == 0 {
				_ = b.Do(t.Context(), "", func(context.Context) error { return errors.New("down") })
			} else {
				ctx, cancel := context.WithCancel(t.Context())
				s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/test.Users/List")
				if err == nil {
					err = errors.Join(s.CloseSend(), s.RecvMsg(new(wrapperspb.StringValue)))
				}
				if cancel(); err != nil {
					t.Fatalf("call %d: %v", i, err)
				}
				synctest.Wait()
			}
			if b.State() != breaker.Closed {
				t.Fatalf("%v after %d calls, %d of them failed", b.State(), i+1, i/20+1)
			}
		}
	})
}

// badToken is a source of tokens that fails.
type badToken struct{ err error }

func (b badToken) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return nil, b.err
}
func (badToken) RequireTransportSecurity() bool { return false }

// TestNoFileDescriptorOpensTheService: the dialer of the client has none left.
func TestNoFileDescriptorOpensTheService(t *testing.T) {
	for errno, want := range map[syscall.Errno]int{syscall.EMFILE: 0, syscall.ECONNREFUSED: 1} {
		b, conn := dial(t, breaker.Settings{}, make(chan answer), grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", errno)}
		}))
		if err := get(t.Context(), conn); status.Code(err) != codes.Unavailable || b.Snapshot().Entries[0].Failures != want {
			t.Errorf("%v: %d failures, want %d", err, b.Snapshot().Entries[0].Failures, want)
		}
	}
}

// TestCallsThatTheClientDoesNotSend are neutral, in unary calls and streams.
func TestCallsThatTheClientDoesNotSend(t *testing.T) {
	b, conn := dial(t, breaker.Settings{}, make(chan answer))
	_ = b.Do(t.Context(), "", func(context.Context) error { return errors.New("down") }) // a success would clear it
	for name, c := range map[string]struct {
		md  []string
		opt grpc.CallOption
	}{
		"a line break in the metadata":   {[]string{"name", "Mary\nAnn"}, nil},
		"a blank in a key":               {[]string{"a name", "Mary"}, nil},
		"no token":                       {nil, grpc.PerRPCCredentials(badToken{errors.New("no identity")})},
		"no token, by a status":          {nil, grpc.PerRPCCredentials(badToken{status.Error(codes.Internal, "no identity")})},
		"a compressor that is not there": {nil, grpc.UseCompressor("brotli")},
		"a codec that is not there":      {nil, grpc.CallContentSubtype("xml")},
	} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), c.md...)
		var opts []grpc.CallOption
		if c.opt != nil {
			opts = append(opts, c.opt)
		}
		err := conn.Invoke(ctx, "/test.Users/Get", wrapperspb.String("1"), new(wrapperspb.StringValue), opts...)
		if n := b.Snapshot().Entries[0].Failures; err == nil || n != 1 {
			t.Errorf("%s: %v, %d failures", name, err, n)
		}
		s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/test.Users/List", opts...)
		if err == nil {
			err = s.RecvMsg(new(wrapperspb.StringValue))
		}
		if n := b.Snapshot().Entries[0].Failures; err == nil || n != 1 {
			t.Errorf("%s, in a stream: %v, %d failures", name, err, n)
		}
	}
}

// watched is a ctx that counts who waits for its end.
type watched struct {
	context.Context
	waiting atomic.Int64
}

// Value hides that the parent could be asked itself.
func (w *watched) Value(any) any { return nil }

// AfterFunc is what package context looks for in a foreign ctx.
func (w *watched) AfterFunc(f func()) func() bool {
	w.waiting.Add(1)
	stop := context.AfterFunc(w.Context, f)
	return func() bool {
		w.waiting.Add(-1)
		return stop()
	}
}

// A service may make all its streams under one ctx that lives as long as it does.
func TestStreamsLeaveNothingWithTheirContext(t *testing.T) {
	answers := make(chan answer, 1)
	_, conn := dial(t, breaker.Settings{ClosedFailLimit: 100}, answers)
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	ctx := &watched{Context: parent}
	for _, code := range []codes.Code{codes.OK, codes.NotFound, codes.Unavailable} {
		answers <- answer{code: code}
		if err := list(ctx, conn); status.Code(err) != code {
			t.Fatal(err)
		}
	}
	if n := ctx.waiting.Load(); n != 0 {
		t.Errorf("%d streams that have ended still wait for the end of their ctx", n)
	}
}
