package conformance_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"go.uber.org/goleak"

	"github.com/sambatech/chassis/queue/localsqs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func at(endpoint string, client *http.Client, creds aws.CredentialsProvider, region string) target {
	return target{Endpoint: endpoint, HTTP: client, Credentials: creds, Region: region,
		Client: sqs.New(sqs.Options{Region: region, BaseEndpoint: &endpoint, Credentials: creds, HTTPClient: client})}
}

func serve(t *testing.T, opts ...localsqs.Option) *localsqs.Server {
	t.Helper()
	srv, err := localsqs.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv
}

var local = credentials.NewStaticCredentialsProvider("local", "secret", "")

func TestInProcess(t *testing.T) {
	srv := serve(t)
	run(t, at("http://localsqs.internal", srv.HTTPClient(), local, "us-east-1"))
}

func TestOverLoopbackWithSignatures(t *testing.T) {
	srv := serve(t, localsqs.Credentials("local", "secret"))
	url, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	run(t, at(url, &http.Client{Transport: transport}, local, "eu-west-3"))
}

func TestOnDisk(t *testing.T) {
	srv := serve(t, localsqs.Path(filepath.Join(t.TempDir(), "queue.db")))
	run(t, at("http://localsqs.internal", srv.HTTPClient(), local, "us-east-1"))
}

// TestEndpoint runs the suite against the endpoint in SQS_ENDPOINT.
func TestEndpoint(t *testing.T) {
	endpoint := os.Getenv("SQS_ENDPOINT")
	if endpoint == "" {
		t.Skip("SQS_ENDPOINT is not set: there is no other endpoint to check")
	}
	region := os.Getenv("SQS_REGION")
	if region == "" {
		region = "us-east-1"
	}
	var creds aws.CredentialsProvider = local
	if id := os.Getenv("AWS_ACCESS_KEY_ID"); id != "" {
		creds = credentials.NewStaticCredentialsProvider(id, os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN"))
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	run(t, at(endpoint, &http.Client{Transport: transport}, creds, region))
}
