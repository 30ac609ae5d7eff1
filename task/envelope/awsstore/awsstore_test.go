package awsstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	localkms "github.com/nsmithuk/local-kms/src"
	"github.com/nsmithuk/local-kms/src/data"
	"go.uber.org/goleak"

	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/envelope"
	"github.com/sambatech/chassis/task/envelope/awsstore"
)

func TestMain(m *testing.M) {
	// The database of local-kms has a goroutine that ends half a minute after its close.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/syndtr/goleveldb/leveldb.(*DB).mpoolDrain"))
}

// door is a server that can be away, hang or refuse.
type door struct {
	http.Handler
	away atomic.Bool
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d.away.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	d.Handler.ServeHTTP(w, r)
}

func serve(t *testing.T, h http.Handler) (*door, aws.Config) {
	t.Helper()
	d := &door{Handler: h}
	srv := httptest.NewServer(d)
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		srv.Close()
	})
	return d, aws.Config{Region: "eu-west-2", BaseEndpoint: &srv.URL, HTTPClient: &http.Client{Transport: transport},
		Credentials:      credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "key", ""),
		RetryMaxAttempts: 1}
}

// bucket is S3 by gofakes3, with one bucket.
func bucket(t *testing.T) (*door, *s3.Client) {
	d, cfg := serve(t, gofakes3.New(s3mem.New()).Server())
	client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("args"),
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: "eu-west-2"}}); err != nil {
		t.Fatal(err)
	}
	return d, client
}

// service is KMS by local-kms; newKey makes a key.
func service(t *testing.T) (d *door, client *kms.Client, newKey func() string) {
	db := data.NewDatabase(t.TempDir())
	t.Cleanup(db.Close)
	d, cfg := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { localkms.HandleRequest(w, r, db) }))
	client = kms.NewFromConfig(cfg)
	return d, client, func() string {
		t.Helper()
		out, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
		if err != nil {
			t.Fatal(err)
		}
		return *out.KeyMetadata.Arn
	}
}

func TestObjects(t *testing.T) {
	d, client := bucket(t)
	s, err := awsstore.NewStore(client, "args", awsstore.Prefix("tasks/"), awsstore.WithPut(func(in *s3.PutObjectInput) {
		in.ContentType = aws.String("application/octet-stream")
	}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, big := t.Context(), bytes.Repeat([]byte("x"), 1<<20)
	if err := s.Put(ctx, "30d/a", big); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(ctx, "30d/a", 1<<20); err != nil || !bytes.Equal(got, big) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("args"), Key: aws.String("tasks/30d/a")}); err != nil ||
		*head.ContentType != "application/octet-stream" {
		t.Errorf("under its prefix: %v", err)
	}
	if _, err := s.Get(ctx, "30d/a", 1<<20-1); !errors.Is(err, envelope.ErrBroken) {
		t.Errorf("one byte too many: %v", err)
	}
	if _, err := s.Get(ctx, "30d/b", 10); !errors.Is(err, envelope.ErrNoObject) || !strings.Contains(err.Error(), "s3://args/tasks/30d/b") {
		t.Errorf("not there: %v", err)
	}
	other, err := awsstore.NewStore(client, "wrong")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Get(ctx, "30d/a", 10); err == nil || errors.Is(err, envelope.ErrNoObject) {
		t.Errorf("a bucket that is not there is taken for an object that is gone: %v", err)
	}
	d.away.Store(true)
	if _, err := s.Get(ctx, "30d/a", 10); err == nil || errors.Is(err, envelope.ErrNoObject) || errors.Is(err, envelope.ErrBroken) {
		t.Errorf("S3 is away: %v", err)
	}
	if err := s.Put(ctx, "30d/c", nil); err == nil {
		t.Error("a put was taken while S3 was away")
	}
	d.away.Store(false)
	for range 2 {
		if err := s.Delete(ctx, "30d/a"); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Get(ctx, "30d/a", 10); !errors.Is(err, envelope.ErrNoObject) {
		t.Errorf("deleted: %v", err)
	}
	if _, err := awsstore.NewStore(nil, "x"); err == nil {
		t.Error("a store without a client was made")
	}
}

func TestKeysOfKMS(t *testing.T) {
	d, client, newKey := service(t)
	first, second, foreign := newKey(), newKey(), newKey()
	ctx := t.Context()
	keys := func(id string, older ...string) *awsstore.Keys {
		k, err := awsstore.NewKeys(client, id, older...)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	old, now := keys(first), keys(second, first)
	made, err := old.GenerateDataKey(ctx)
	if err != nil || made.Key != first || len(made.Plain) != 32 {
		t.Fatalf("%+v, %v", made, err)
	}
	if plain, err := now.Decrypt(ctx, made.Key, made.Wrapped); err != nil || !bytes.Equal(plain, made.Plain) {
		t.Errorf("an older key: %v", err)
	}
	if plain, err := now.Decrypt(ctx, "alias/of another region", made.Wrapped); err != nil || !bytes.Equal(plain, made.Plain) {
		t.Errorf("under another name: %v", err)
	}
	// AWS says IncorrectKeyException, which is a key that is not known here. local-kms says
	// InvalidCiphertextException.
	refused := func(err error) bool {
		return errors.Is(err, envelope.ErrUnknownKey) || errors.Is(err, envelope.ErrBroken)
	}
	if _, err := keys(second).Decrypt(ctx, made.Key, made.Wrapped); !refused(err) {
		t.Errorf("a key that is not given: %v", err)
	}
	// A sender with a KMS key of its own, which this process could even use.
	theirs, err := keys(foreign).GenerateDataKey(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := now.Decrypt(ctx, theirs.Key, theirs.Wrapped); !refused(err) {
		t.Errorf("a key that the message names, and is not one of ours: %v", err)
	}
	// The ciphertext of another program under our key.
	out, err := client.Encrypt(ctx, &kms.EncryptInput{KeyId: &first, Plaintext: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Decrypt(ctx, first, out.CiphertextBlob); !errors.Is(err, envelope.ErrBroken) {
		t.Errorf("a ciphertext without our context: %v", err)
	}
	if _, err := old.Decrypt(ctx, first, []byte("garbage")); !errors.Is(err, envelope.ErrBroken) {
		t.Errorf("garbage: %v", err)
	}
	d.away.Store(true)
	if _, err := old.Decrypt(ctx, first, made.Wrapped); err == nil || errors.Is(err, envelope.ErrUnknownKey) || errors.Is(err, envelope.ErrBroken) {
		t.Errorf("KMS is away: %v", err)
	}
	d.away.Store(false)
	if _, err := client.DisableKey(ctx, &kms.DisableKeyInput{KeyId: &first}); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Decrypt(ctx, first, made.Wrapped); !errors.Is(err, envelope.ErrUnknownKey) {
		t.Errorf("a key that is disabled: %v", err)
	}
	if _, err := old.GenerateDataKey(ctx); !errors.Is(err, envelope.ErrUnknownKey) {
		t.Errorf("a data key by one that is disabled: %v", err)
	}
	if _, err := awsstore.NewKeys(client, ""); err == nil {
		t.Error("keys without an id were made")
	}
}

// TestAnswersOfKMS: what AWS says, in its own form, is what envelope has to know of it.
func TestAnswersOfKMS(t *testing.T) {
	for code, want := range map[string]error{"IncorrectKeyException": envelope.ErrUnknownKey,
		"NotFoundException": envelope.ErrUnknownKey, "DisabledException": envelope.ErrUnknownKey,
		"KMSInvalidStateException": envelope.ErrUnknownKey, "AccessDeniedException": envelope.ErrUnknownKey,
		"InvalidCiphertextException": envelope.ErrBroken, "ThrottlingException": nil, "KeyUnavailableException": nil,
		"KMSInternalException": nil, "DependencyTimeoutException": nil} {
		_, cfg := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprintf(w, `{"__type": %q, "message": "as AWS says it"}`, code)
		}))
		k, err := awsstore.NewKeys(kms.NewFromConfig(cfg), "alias/a")
		if err != nil {
			t.Fatal(err)
		}
		_, err = k.Decrypt(t.Context(), "x", []byte("wrapped"))
		for _, known := range []error{envelope.ErrUnknownKey, envelope.ErrBroken} {
			if errors.Is(err, known) != (want == known) {
				t.Errorf("%s: %v", code, err)
			}
		}
		if err == nil || !strings.Contains(err.Error(), code) {
			t.Errorf("%s: %v", code, err)
		}
	}
}

// TestAnEnvelopeByS3AndKMS seals large arguments and opens them, with few questions.
func TestAnEnvelopeByS3AndKMS(t *testing.T) {
	_, objects := bucket(t)
	d, client, newKey := service(t)
	var asked atomic.Int64
	inner := d.Handler
	d.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Add(1); inner.ServeHTTP(w, r) })
	keys, err := awsstore.NewKeys(client, newKey())
	if err != nil {
		t.Fatal(err)
	}
	asked.Store(0)
	store, err := awsstore.NewStore(objects, "args")
	if err != nil {
		t.Fatal(err)
	}
	env, err := envelope.New(envelope.Config{Keys: keys, Store: store})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		args := fmt.Sprintf(`{"card": "4111", "text": %q}`, strings.Repeat("x", i*40_000))
		p := task.Parcel{Task: "charge", ExecID: fmt.Sprint("e", i), Body: args, When: time.Now(), Do: task.Encrypt | task.ClaimCheck}
		body, mark, err := env.Seal(context.Background(), p)
		if err != nil || strings.Contains(body, `{"card`) || len(body) > 256<<10 {
			t.Fatalf("%d bytes (%s), %v", len(body), mark, err)
		}
		got, err := env.Open(context.Background(), envelope.Letter{Task: p.Task, ExecID: p.ExecID, Body: []byte(body)})
		if err != nil || string(got) != args {
			t.Errorf("%d of %d bytes come back (%s): %v", len(got), len(args), mark, err)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("KMS was asked %d times for 20 messages, want 2", n)
	}
}
