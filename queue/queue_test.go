package queue_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/settings"
)

// certificate writes a certificate of 127.0.0.1 and its key, and returns their
// files and a pool that trusts it.
func certificate(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	model := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, model, model, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name, kind string, data []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	roots = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(parsed)
	return file("cert.pem", "CERTIFICATE", der), file("key.pem", "PRIVATE KEY", private), roots
}

func TestTheEmbeddedQueueServesOthersByKeysAndTLS(t *testing.T) {
	cert, key, roots := certificate(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := chassis.DefaultSettings()
	s.Queue.Listen = free.Addr().String()
	s.Queue.Server = queue.ServerSettings{AccessKey: "mailer", SecretKey: settings.NewSecret("hush"), Certificate: cert, PrivateKey: key}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // it is read, too
	sys, err := chassis.New("mailer", chassis.WithSettings(s), chassis.WithLogOutput(log), chassis.WithoutDefaultLogger(),
		chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	endpoint := "https://" + s.Queue.Listen
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	for secret, well := range map[string]bool{"hush": true, "wrong": false} {
		client := sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: &endpoint, HTTPClient: &http.Client{Transport: transport},
			Retryer: aws.NopRetryer{}, Credentials: credentials.NewStaticCredentialsProvider("mailer", secret, "")})
		if _, err := client.ListQueues(t.Context(), &sqs.ListQueuesInput{}); (err == nil) != well {
			t.Errorf("with the secret %q: %v", secret, err)
		}
	}
	if err := sys.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(log.Name()); err != nil || strings.Contains(string(text), "hush") || !strings.Contains(string(text), endpoint) {
		t.Errorf("the log should name the endpoint and not the secret: %v %s", err, text)
	}
}

func TestHalfOfTheQueuesServerIsAnError(t *testing.T) {
	for name, s := range map[string]queue.Settings{
		"no secret":       {Listen: "127.0.0.1:0", Server: queue.ServerSettings{AccessKey: "id"}},
		"no key":          {Listen: "127.0.0.1:0", Server: queue.ServerSettings{Certificate: "cert.pem"}},
		"nothing listens": {Server: queue.ServerSettings{AccessKey: "id", SecretKey: settings.NewSecret("s")}},
	} {
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "server") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFileIsOpenedByOneProcess(t *testing.T) {
	file := queue.Settings{Path: filepath.Join(t.TempDir(), "q.db")}
	q := open(t, file)
	if _, err := queue.Open(t.Context(), file); !errors.Is(err, localsqs.ErrInUse) || !strings.Contains(err.Error(), "queue.listen") {
		t.Errorf("opened twice: %v", err)
	}
	if !strings.Contains(q.String(), file.Path) {
		t.Errorf("the name of the queue is %q", q)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := open(t, file).Close(t.Context()); err != nil { // free again
		t.Error(err)
	}
}

func TestAQueueOfTheCallerStaysOpen(t *testing.T) {
	own := open(t, queue.Settings{})
	url, err := own.Client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("jobs")})
	if err != nil {
		t.Fatal(err)
	}
	ignored := queue.Settings{Path: filepath.Join(t.TempDir(), "not", "made.db")}
	for name, c := range map[string]struct {
		option   queue.Option
		embedded bool
	}{
		"a client": {queue.WithClient(own.Client), false},
		"a server": {queue.WithServer(own.Server), true},
	} {
		q, err := queue.Open(t.Context(), ignored, c.option)
		if err != nil {
			t.Fatal(err)
		}
		if (q.Recall() != nil) != c.embedded || q.Empty(t.Context(), *url.QueueUrl) != c.embedded {
			t.Errorf("%s: recall %t, empty %t", name, q.Recall() != nil, q.Empty(t.Context(), *url.QueueUrl))
		}
		if err := q.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := own.Client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url.QueueUrl, MessageBody: aws.String("x")}); err != nil {
			t.Fatalf("after the close of %s: %v", name, err)
		}
		if q.Empty(t.Context(), *url.QueueUrl) {
			t.Errorf("%s: a queue with a message is empty", name)
		}
		if _, err := own.Client.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: url.QueueUrl}); err != nil {
			t.Fatal(err)
		}
	}
	if err := own.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func open(t *testing.T, s queue.Settings) *queue.Queue {
	t.Helper()
	q, err := queue.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return q
}
