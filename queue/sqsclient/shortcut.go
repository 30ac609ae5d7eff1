package sqsclient

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/schemas"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/google/uuid"
)

// shortcut makes the two requests of a worker's loop, ReceiveMessage and
// DeleteMessageBatch, without the SDK's thirty middlewares, which cost more
// than the request. It decides nothing that the SDK decides: the endpoint, the
// headers and the scope of the signature are those of a request that the SDK
// has made before; what is to be signed, by what and when it is tried again are
// the SDK's signer, credentials and retryer.
//
// What it cannot do as the SDK would goes the SDK's way: the first request of
// a client, and after an answer 401 or 403 all of them until one succeeds (see
// trust). If the clock is wrong, the SDK finds out by how much, and the shortcut
// then signs as the SDK's latest request was signed.
type shortcut struct {
	doer    Doer // below plainBody: the bodies made here are plain
	options sqs.Options
	model   atomic.Pointer[model]
	trust   trust        // of receives and deletes
	sends   trust        // a process may have the right to receive and not the one to send
	skew    atomic.Int64 // ns that the SDK adds to the time when it signs
	counts  struct{ shortcut, refused, sdk atomic.Int64 }
}

// Stats counts the requests of a worker's loop (see [WithShortcut]) that a
// client has made, tries of one request apart.
type Stats struct {
	Shortcut int64 `json:"shortcut"` // made by this package
	Refused  int64 `json:"refused"`  // of these, answered 401 or 403 and left to the SDK
	SDK      int64 `json:"sdk"`      // calls that went the SDK's way, whole
}

// StatsOf returns the counts of a client that [New] has made; zeros for any
// other and for one with [WithOptions].
func StatsOf(client *sqs.Client) Stats {
	p, ok := client.Options().HTTPClient.(plainBody)
	if !ok || p.short == nil {
		return Stats{}
	}
	c := &p.short.counts
	return Stats{Shortcut: c.shortcut.Load(), Refused: c.refused.Load(), SDK: c.sdk.Load()}
}

type shortcutKey struct{}

// WithShortcut lets ReceiveMessage and DeleteMessageBatch be made by this
// package where the SDK would make the same requests at several times the cost.
// It is for a worker's loop: options of a single call (the last arguments of
// the client's methods) have no effect in that ctx.
func WithShortcut(ctx context.Context) context.Context {
	return context.WithValue(ctx, shortcutKey{}, true)
}

// model is what is the same in all requests of a client.
type model struct {
	url             url.URL
	host            string
	header          http.Header
	service, region string // of the signature; empty: none is made
}

// perRequest are the headers that a request has for itself.
var perRequest = []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "Amz-Sdk-Invocation-Id",
	"Amz-Sdk-Request", "Content-Length", "X-Amz-Target"}

// learn takes the model from a request of the SDK's.
func (s *shortcut) learn(r *http.Request) {
	if r.Context().Value(shortcutKey{}) == nil { // it may have been made with options of its own
		return
	}
	s.skew.Store(int64(signedAhead(r.Header.Get("X-Amz-Date"), time.Now())))
	if s.model.Load() != nil || r.Header.Get("X-Amzn-Trace-Id") != "" { // in AWS Lambda it is of one invocation
		return
	}
	m := &model{url: *r.URL, host: r.Host, header: maps.Clone(r.Header)}
	if _, scope, ok := strings.Cut(r.Header.Get("Authorization"), "Credential="); ok {
		scope, _, _ = strings.Cut(scope, ",")
		parts := strings.Split(scope, "/")
		if n := len(parts); n >= 5 {
			m.region, m.service = parts[n-3], parts[n-2]
		}
	}
	if (m.service == "") != (r.Header.Get("Authorization") == "") {
		return // signed in a way of its own
	}
	for _, name := range perRequest {
		m.header.Del(name)
	}
	s.model.Store(m)
}

// signedAhead returns how far the time of a signature is from now, to the
// second; 0 if that is under ten seconds, which signatures need not be exact to.
func signedAhead(date string, now time.Time) time.Duration {
	at, err := time.Parse("20060102T150405Z", date)
	if d := at.Sub(now).Round(time.Second); err == nil && d.Abs() >= 10*time.Second {
		return d
	}
	return 0
}

// install puts the shortcut behind the SDK's checks of the input and before
// everything else.
func (s *shortcut) install(stack *middleware.Stack) error {
	return stack.Initialize.Add(s, middleware.After)
}

// ID implements middleware.InitializeMiddleware.
func (*shortcut) ID() string { return "chassis.Shortcut" }

// operation is one that the shortcut knows.
type operation struct {
	target []string
	schema *smithy.OperationSchema
	body   []byte
	output smithy.Deserializable
	trust  *trust
}

var (
	receiveTarget = []string{"AmazonSQS.ReceiveMessage"}
	receiveSchema = smithy.NewOperationSchema(schemas.ReceiveMessage, schemas.ReceiveMessageRequest,
		schemas.ReceiveMessageResult)
	deleteTarget = []string{"AmazonSQS.DeleteMessageBatch"}
	deleteSchema = smithy.NewOperationSchema(schemas.DeleteMessageBatch, schemas.DeleteMessageBatchRequest,
		schemas.DeleteMessageBatchResult)
)

// HandleInitialize implements middleware.InitializeMiddleware.
func (s *shortcut) HandleInitialize(ctx context.Context, in middleware.InitializeInput,
	next middleware.InitializeHandler) (out middleware.InitializeOutput, metadata middleware.Metadata, err error) {
	if ctx.Value(shortcutKey{}) == nil {
		return next.HandleInitialize(ctx, in)
	}
	m := s.model.Load()
	term, taken := s.trust.taken()
	taken = taken && m != nil
	var op operation
	switch input := in.Parameters.(type) {
	case *sqs.ReceiveMessageInput:
		if taken {
			op = operation{receiveTarget, receiveSchema, appendReceive(make([]byte, 0, 512), input),
				new(sqs.ReceiveMessageOutput), &s.trust}
		}
	case *sqs.DeleteMessageBatchInput:
		if taken {
			op = operation{deleteTarget, deleteSchema,
				appendDelete(make([]byte, 0, 256+128*len(input.Entries)), input), new(sqs.DeleteMessageBatchOutput), &s.trust}
		}
	default:
		return next.HandleInitialize(ctx, in)
	}
	if op.body == nil {
		return s.leave(ctx, in, next)
	}
	requestID, err := s.perform(ctx, m, &op, term)
	if errors.Is(err, errUnsure) {
		return s.leave(ctx, in, next)
	}
	if err == nil {
		s.trust.succeeded(term)
	}
	awsmiddleware.SetRequestIDMetadata(&metadata, requestID)
	out.Result = op.output
	return out, metadata, err
}

// leave leaves a call to the SDK.
func (s *shortcut) leave(ctx context.Context, in middleware.InitializeInput,
	next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	s.counts.sdk.Add(1)
	out, metadata, err := next.HandleInitialize(ctx, in)
	if err == nil {
		s.trust.vouched()
	}
	return out, metadata, err
}

// errUnsure leaves a request to the SDK.
var errUnsure = errors.New("sqsclient: the SDK is to make this request")

// perform tries op as often as the SDK would.
func (s *shortcut) perform(ctx context.Context, m *model, op *operation, term uint64) (requestID string, err error) {
	invocation := []string{uuid.NewString()}
	most := s.options.Retryer.MaxAttempts()
	for attempt := 1; ; attempt++ {
		requestID, err = s.try(ctx, m, op, term, http.Header{
			"Amz-Sdk-Invocation-Id": invocation, "Amz-Sdk-Request": {"attempt=" + strconv.Itoa(attempt) + "; max=" +
				strconv.Itoa(most)}})
		if err == nil || !s.options.Retryer.IsErrorRetryable(err) {
			return requestID, err
		}
		if attempt >= most {
			return requestID, &retry.MaxAttemptsError{Attempt: attempt, Err: err}
		}
		wait, waitErr := s.options.Retryer.RetryDelay(attempt, err)
		if waitErr != nil {
			return requestID, waitErr
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return requestID, &aws.RequestCanceledError{Err: ctx.Err()}
		}
	}
}

// try makes one request and reads its answer.
func (s *shortcut) try(ctx context.Context, m *model, op *operation, term uint64,
	header http.Header) (requestID string, err error) {
	maps.Copy(header, m.header)
	header["X-Amz-Target"] = op.target
	u := m.url // the signer writes into it
	req := (&http.Request{Method: http.MethodPost, URL: &u, Host: m.host, Header: header, Proto: "HTTP/1.1",
		ProtoMajor: 1, ProtoMinor: 1,
		ContentLength: int64(len(op.body)), Body: io.NopCloser(bytes.NewReader(op.body)),
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(op.body)), nil },
	}).WithContext(ctx)
	if m.service != "" {
		credentials, err := s.options.Credentials.Retrieve(ctx)
		if err != nil {
			return "", errUnsure
		}
		sum := sha256.Sum256(op.body)
		if err := s.options.HTTPSignerV4.SignHTTP(ctx, credentials, req, hex.EncodeToString(sum[:]), m.service,
			m.region, time.Now().Add(time.Duration(s.skew.Load()))); err != nil {
			return "", errUnsure
		}
	}
	s.counts.shortcut.Add(1)
	resp, err := s.doer.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return "", &smithy.CanceledError{Err: ctx.Err()}
		}
		return "", &smithyhttp.RequestSendError{Err: err}
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		s.counts.refused.Add(1)
		op.trust.refused(term)
		return "", errUnsure
	}
	requestID = resp.Header.Get("X-Amzn-Requestid")
	answer := &smithyhttp.Response{Response: resp}
	if err := s.options.Protocol.DeserializeResponse(ctx, op.schema, sqs.TypeRegistry, answer, op.output); err != nil {
		return requestID, &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{Response: answer, Err: err},
			RequestID: requestID}
	}
	return requestID, nil
}
