package awssource_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/awssource"
)

// answer is an HTTP client that always gets one answer.
type answer struct {
	status      int
	contentType string
	body        []byte
}

func (a answer) Do(r *http.Request) (*http.Response, error) {
	h := http.Header{"Content-Type": {a.contentType}, "Next-Poll-Configuration-Token": {"t"},
		"Next-Poll-Interval-In-Seconds": {"15"}}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(bytes.NewReader(a.body)), Request: r,
		ContentLength: int64(len(a.body))}, nil
}

// FuzzAnswers: AWS, or what stands between it and us, may answer anything. It is settings or an error, in time, and
// no error has the secret.
func FuzzAnswers(f *testing.F) {
	f.Add(200, "application/x-amz-json-1.1", []byte(`{"Parameters":[{"Name":"/a","Type":"SecureString","Value":"HUSH","Version":3}],"InvalidParameters":["/b"]}`))
	f.Add(200, "application/x-amz-json-1.1", []byte(`{"Parameters":[{"Name":"/p/count","Value":"HUSH","Type":"StringList"}],"NextToken":""}`))
	f.Add(200, "application/x-amz-json-1.1", []byte(`{"SecretString":"{\"count\":\"HUSH\"}","VersionId":"v","SecretBinary":"AAAA"}`))
	f.Add(200, "application/json", []byte(`{"InitialConfigurationToken":"t","count":3}`))
	f.Add(400, "application/x-amz-json-1.1", []byte(`{"__type":"AccessDeniedException","message":"no"}`))
	f.Add(503, "text/html", []byte(`<html>`))
	f.Add(200, "application/x-yaml", []byte(``))
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		if status < 200 || status > 599 || len(contentType) > 100 {
			t.Skip()
		}
		cfg := aws.Config{Region: "eu-central-1", HTTPClient: answer{status, contentType, body}, RetryMaxAttempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}
		store := awssource.New(cfg, awssource.Settings{Timeout: time.Second})
		type layout struct {
			Count int
			Token settings.Secret[int]
		}
		for _, sources := range [][]settings.Option{
			{settings.From(store, "ssm:/p/")},
			{settings.From(store, "secretsmanager:s")},
			{settings.From(store, "appconfig:a/b/c")},
			{settings.From(store), settings.Bytes("f.yaml", settings.YAML, []byte("count: ssm:/a\ntoken: secretsmanager:s#count"))},
		} {
			_, err := settings.Load(layout{}, sources...)
			if err != nil && status == 200 && strings.Contains(string(body), `"SecureString"`) && strings.Contains(err.Error(), "HUSH") {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if got := store.Read(ctx, []string{"ssm:/other"}); got[0].Err == nil && status != 200 {
			t.Fatal(errors.New("no error"))
		}
	})
}

func FuzzAddress(f *testing.F) {
	for _, a := range []string{"ssm:/a", "ssm:a:7", "ssm:/a/", "ssm:/", "ssm:", "ssm:/a#", "secretsmanager:a?stage=B#c",
		"secretsmanager:a?b", "appconfig:a/b/c", "appconfig:a/b", "x:y", "ssm://a", "secretsmanager:#k"} {
		f.Add(a)
	}
	store := awssource.New(aws.Config{Region: "eu-central-1", HTTPClient: answer{400, "application/x-amz-json-1.1", []byte(`{}`)},
		RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}, awssource.Settings{})
	f.Fuzz(func(t *testing.T, address string) {
		if got := store.Read(context.Background(), []string{address}); len(got) != 1 || got[0].Err == nil {
			t.Fatalf("%q: %+v", address, got)
		}
	})
}
