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
// a client, and from the first answer 401 or 403 on all of them, for the clock
// may be wrong, which the SDK finds out and allows for.
type shortcut struct {
	doer    Doer // below plainBody: the bodies made here are plain
	options sqs.Options
	model   atomic.Pointer[model]
	off     atomic.Bool
}

type shortcutKey struct{}

// WithShortcut lets ReceiveMessage and DeleteMessageBatch be made by this
// package where the SDK would make the same requests at several times the cost.
// It is for a worker's loop: options of a single call (the last arguments of
// the client's methods) are not heeded in such a ctx.
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
var perRequest = []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request", "Content-Length", "X-Amz-Target"}

// learn takes the model from a request of the SDK's.
func (s *shortcut) learn(r *http.Request) {
	if r.Context().Value(shortcutKey{}) == nil { // it may have been made with options of its own
		return
	}
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
}

var (
	receiveTarget = []string{"AmazonSQS.ReceiveMessage"}
	receiveSchema = smithy.NewOperationSchema(schemas.ReceiveMessage, schemas.ReceiveMessageRequest, schemas.ReceiveMessageResult)
	deleteTarget  = []string{"AmazonSQS.DeleteMessageBatch"}
	deleteSchema  = smithy.NewOperationSchema(schemas.DeleteMessageBatch, schemas.DeleteMessageBatchRequest, schemas.DeleteMessageBatchResult)
)

// HandleInitialize implements middleware.InitializeMiddleware.
func (s *shortcut) HandleInitialize(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (out middleware.InitializeOutput, metadata middleware.Metadata, err error) {
	m := s.model.Load()
	var op operation
	if m != nil && !s.off.Load() && ctx.Value(shortcutKey{}) != nil {
		switch input := in.Parameters.(type) {
		case *sqs.ReceiveMessageInput:
			op = operation{receiveTarget, receiveSchema, appendReceive(make([]byte, 0, 512), input), new(sqs.ReceiveMessageOutput)}
		case *sqs.DeleteMessageBatchInput:
			op = operation{deleteTarget, deleteSchema, appendDelete(make([]byte, 0, 256+128*len(input.Entries)), input), new(sqs.DeleteMessageBatchOutput)}
		}
	}
	if op.body == nil {
		return next.HandleInitialize(ctx, in)
	}
	requestID, err := s.perform(ctx, m, &op)
	if errors.Is(err, errUnsure) {
		return next.HandleInitialize(ctx, in)
	}
	awsmiddleware.SetRequestIDMetadata(&metadata, requestID)
	out.Result = op.output
	return out, metadata, err
}

// errUnsure leaves a request to the SDK.
var errUnsure = errors.New("sqsclient: the SDK is to make this request")

// perform tries op as often as the SDK would.
func (s *shortcut) perform(ctx context.Context, m *model, op *operation) (requestID string, err error) {
	invocation := []string{uuid.NewString()}
	most := s.options.Retryer.MaxAttempts()
	for attempt := 1; ; attempt++ {
		requestID, err = s.try(ctx, m, op, http.Header{
			"Amz-Sdk-Invocation-Id": invocation, "Amz-Sdk-Request": {"attempt=" + strconv.Itoa(attempt) + "; max=" + strconv.Itoa(most)}})
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
func (s *shortcut) try(ctx context.Context, m *model, op *operation, header http.Header) (requestID string, err error) {
	maps.Copy(header, m.header)
	header["X-Amz-Target"] = op.target
	u := m.url // the signer writes into it
	req := (&http.Request{Method: http.MethodPost, URL: &u, Host: m.host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		ContentLength: int64(len(op.body)), Body: io.NopCloser(bytes.NewReader(op.body)),
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(op.body)), nil },
	}).WithContext(ctx)
	if m.service != "" {
		credentials, err := s.options.Credentials.Retrieve(ctx)
		if err != nil {
			return "", errUnsure
		}
		sum := sha256.Sum256(op.body)
		if err := s.options.HTTPSignerV4.SignHTTP(ctx, credentials, req, hex.EncodeToString(sum[:]), m.service, m.region, time.Now()); err != nil {
			return "", errUnsure
		}
	}
	resp, err := s.doer.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return "", &smithy.CanceledError{Err: ctx.Err()}
		}
		return "", &smithyhttp.RequestSendError{Err: err}
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		s.off.Store(true)
		return "", errUnsure
	}
	requestID = resp.Header.Get("X-Amzn-Requestid")
	answer := &smithyhttp.Response{Response: resp}
	if err := s.options.Protocol.DeserializeResponse(ctx, op.schema, sqs.TypeRegistry, answer, op.output); err != nil {
		return requestID, &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{Response: answer, Err: err}, RequestID: requestID}
	}
	return requestID, nil
}
