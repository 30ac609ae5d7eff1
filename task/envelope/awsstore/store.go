package awsstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/sambatech/chassis/task/envelope"
)

// Store is an [envelope.Store] in an S3 bucket. It needs s3:PutObject, s3:GetObject and
// s3:DeleteObject on its objects, and s3:ListBucket on the bucket: without that S3 says
// AccessDenied of an object that is gone, and its task waits for ever.
//
// The bucket needs a lifecycle rule for each of the prefixes 30d/, 90d/ and 366d/ that
// deletes what is older, and no rule that moves objects into an archive.
type Store struct {
	client *s3.Client
	bucket string
	prefix string
	put    func(*s3.PutObjectInput)
}

// StoreOption changes a [Store].
type StoreOption func(*Store)

// Prefix is put before the name of each object, for example "tasks/". The rules of the
// bucket then need it, too.
func Prefix(prefix string) StoreOption { return func(s *Store) { s.prefix = prefix } }

// WithPut changes each PutObject request before it is sent, for example to name a key of
// server-side encryption.
func WithPut(change func(*s3.PutObjectInput)) StoreOption { return func(s *Store) { s.put = change } }

// NewStore returns the store in a bucket. It makes no request.
func NewStore(client *s3.Client, bucket string, opts ...StoreOption) (*Store, error) {
	if client == nil || bucket == "" {
		return nil, errors.New("awsstore: a store needs a client and the name of a bucket")
	}
	s := &Store{client: client, bucket: bucket, put: func(*s3.PutObjectInput) {}}
	for _, o := range opts {
		o(s)
	}
	return s, nil
}

func (s *Store) failed(doing, name string, err error) error {
	return fmt.Errorf("awsstore: %s s3://%s/%s%s: %w", doing, s.bucket, s.prefix, name, err)
}

// Put implements [envelope.Store].
func (s *Store) Put(ctx context.Context, name string, data []byte) error {
	key := s.prefix + name
	in := &s3.PutObjectInput{Bucket: &s.bucket, Key: &key, Body: bytes.NewReader(data)}
	s.put(in)
	if _, err := s.client.PutObject(ctx, in); err != nil {
		return s.failed("put", name, err)
	}
	return nil
}

// Get implements [envelope.Store].
func (s *Store) Get(ctx context.Context, name string, most int64) ([]byte, error) {
	key := s.prefix + name
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &key})
	if isGone(err) {
		return nil, fmt.Errorf("%w: %w", envelope.ErrNoObject, s.failed("get", name, err))
	}
	if err != nil {
		return nil, s.failed("get", name, err)
	}
	defer func() { _ = out.Body.Close() }() // it is only read
	data, err := io.ReadAll(io.LimitReader(out.Body, most+1))
	switch {
	case err != nil:
		return nil, s.failed("get", name, err)
	case int64(len(data)) > most:
		return nil, fmt.Errorf("%w: %w", envelope.ErrBroken, s.failed("get", name,
			fmt.Errorf("it has more than %d bytes", most)))
	}
	return data, nil
}

// isGone reports whether S3 says that the object is not there. A bucket that is not there is
// a mistake in the settings: its tasks wait until that is corrected.
func isGone(err error) bool {
	var gone *types.NoSuchKey
	var api smithy.APIError
	if errors.As(err, &gone) {
		return true
	}
	return errors.As(err, &api) && (api.ErrorCode() == "NoSuchKey" || api.ErrorCode() == "NotFound")
}

// Delete implements [envelope.Store]. A bucket with versions keeps the older one until its
// rules delete it.
func (s *Store) Delete(ctx context.Context, name string) error {
	key := s.prefix + name
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: &key})
	if err != nil && !isGone(err) {
		return s.failed("delete", name, err)
	}
	return nil
}
