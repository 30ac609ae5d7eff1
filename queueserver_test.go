package chassis_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/task"
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
	s.Queue.Server = chassis.QueueServer{AccessKey: "mailer", SecretKey: settings.NewSecret("hush"), Certificate: cert, PrivateKey: key}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // it is read, too
	sys, err := chassis.New("mailer", chassis.WithSettings(s), chassis.WithLogOutput(log), chassis.WithoutDefaultLogger(), forTests)
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
	for name, s := range map[string]chassis.QueueSettings{
		"no secret":       {Listen: "127.0.0.1:0", Server: chassis.QueueServer{AccessKey: "id"}},
		"no key":          {Listen: "127.0.0.1:0", Server: chassis.QueueServer{Certificate: "cert.pem"}},
		"nothing listens": {Server: chassis.QueueServer{AccessKey: "id", SecretKey: settings.NewSecret("s")}},
	} {
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "server") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A queue that delivers out of order and twice, and shows old counts, loses no
// task and makes no dead letters.
func TestTasksRunOnAQueueAsUnkindAsAWS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := localsqs.New(localsqs.AsAWS(1))
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close() //nolint:errcheck // in memory
		sys, err := chassis.New("mailer", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithEmbedded(server),
			chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger(), forTests)
		if err != nil {
			t.Fatal(err)
		}
		type letter struct{ N int }
		job := task.Define[letter]("job")
		var mu sync.Mutex
		ran := map[int]int{}
		chassis.Handle(sys, job, func(_ context.Context, j task.Job[letter]) error {
			mu.Lock()
			defer mu.Unlock()
			ran[j.Args.N]++
			return nil
		})
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for n := range 500 {
			if _, err := chassis.Send(t.Context(), sys, job, letter{n}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Minute)
		if err := sys.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		for _, q := range server.Stats().Queues {
			if q.Visible+q.InFlight+q.Delayed > 0 {
				t.Errorf("left on %s: %d visible, %d in flight, %d delayed", q.Name, q.Visible, q.InFlight, q.Delayed)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if len(ran) != 500 {
			t.Errorf("%d of 500 tasks ran", len(ran))
		}
		time.Sleep(time.Second) // Proto.Actor counts dead letters by time alone
	})
}
