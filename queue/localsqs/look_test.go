package localsqs_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/sambatech/chassis/queue/localsqs"
)

// Who has no access key sees whether the server is well, and no message.
func TestHostileLooksAreRefusedOnceThereAreCredentials(t *testing.T) {
	srv := newServer(t, localsqs.Credentials("id", "secret"))
	client := newClient(srv)
	send(t, client, createQueue(t, client, "jobs", nil), "secret body")
	url := listen(t, srv)
	for _, path := range []string{"/-/peek?queue=jobs", "/-/stats", "/-/metrics", "/-/nothing"} {
		if status, _, text := do(t, probe(t, url+path)); status != http.StatusForbidden || strings.Contains(text, "jobs") || strings.Contains(text, "body") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if status, _, text := do(t, probe(t, url+"/-/health")); status != http.StatusOK {
		t.Errorf("a probe: %d %s", status, text)
	}
	sign := func(path, secret string) *http.Request {
		r := probe(t, url+path)
		const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
		if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "id", SecretAccessKey: secret}, r, empty, "sqs", "us-east-1", time.Now()); err != nil {
			t.Fatal(err)
		}
		return r
	}
	status, _, text := do(t, sign("/-/peek?queue=jobs&max=3", "secret"))
	var found []localsqs.Peeked
	if err := json.Unmarshal([]byte(text), &found); status != 200 || err != nil || len(found) != 1 || found[0].Body != "secret body" {
		t.Errorf("a signed look: %d %s", status, text)
	}
	if status, _, text := do(t, sign("/-/peek?queue=jobs", "wrong")); status != http.StatusForbidden {
		t.Errorf("a look signed with a wrong secret: %d %s", status, text)
	}
	r := sign("/-/peek?queue=jobs", "secret")
	r.URL.RawQuery = "queue=other"
	if status, _, text := do(t, r); status != http.StatusForbidden {
		t.Errorf("a look at another queue than was signed: %d %s", status, text)
	}
}
