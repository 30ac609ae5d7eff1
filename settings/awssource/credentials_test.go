package awssource_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/awssource"
	"github.com/sambatech/chassis/settings/awssource/internal/awsserver"
)

// changing are credentials that may be away.
type changing struct {
	aws.CredentialsProvider
	err atomic.Pointer[error]
}

func (c *changing) set(err error) { c.err.Store(&err) }

func (c *changing) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if err := *c.err.Load(); err != nil {
		return aws.Credentials{}, err
	}
	return c.CredentialsProvider.Retrieve(ctx)
}

// What STS refuses is the role of the pod, not a right on a parameter: the advice was to correct the parameter's name, and
// each parameter was asked for by itself (aws/secrets-store-csi-driver-provider-aws#17).
func TestCredentialsThatCannotBeHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := awsserver.New()
		for i := range 3 {
			server.Put(fmt.Sprintf("/k/%d", i), "String", "1")
		}
		cfg := server.Config()
		sts := &smithy.OperationError{ServiceID: "STS", OperationName: "AssumeRoleWithWebIdentity",
			Err: &smithy.GenericAPIError{Code: "AccessDenied", Message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"}}
		keys := &changing{CredentialsProvider: cfg.Credentials}
		keys.set(sts)
		cfg.Credentials = keys
		yaml := []byte("mail: {limits: {a: 'ssm:/k/0', b: 'ssm:/k/1', c: 'ssm:/k/2'}}")
		load := func(cfg aws.Config) error {
			_, err := settings.Load(mailer{}, settings.From(awssource.New(cfg, awssource.Settings{})),
				settings.Bytes("mail.yaml", settings.YAML, yaml))
			return err
		}
		err := load(cfg)
		for _, want := range []string{"mail.limits.a: ssm:/k/0: ssm:GetParameters of parameter /k/0 in eu-central-1: " +
			"there are no credentials of AWS to ask with", "AssumeRoleWithWebIdentity"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in: %v", want, err)
			}
		}
		if err != nil && strings.Contains(err.Error(), "correct the name") {
			t.Errorf("the advice is of the parameter: %v", err)
		}
		cfg.Credentials = nil
		if err := load(cfg); err == nil || !strings.Contains(err.Error(), "config.LoadDefaultConfig finds them") {
			t.Errorf("without credentials: %v", err)
		}

		// Later: the values stay, and the next session is taken up.
		keys.set(nil)
		cfg.Credentials = keys
		store := awssource.New(cfg, awssource.Settings{})
		k := follow(t, server, store, string(yaml))
		keys.set(errors.New("the session has ended"))
		k.after(3 * time.Minute)
		k.logged("level=WARN", "ssm:/k/0 v1 stays in force", "there are no credentials of AWS to ask with", "the session has ended")
		keys.set(nil)
		server.Put("/k/0", "String", "5")
		k.after(2 * time.Minute)
		k.logged("mail.limits.a from=1 to=5")
	})
}

// A path with more parameters than can be read in time is no network that is away.
func TestAPathThatIsTooLongForItsTime(t *testing.T) {
	serve(t, func(t *testing.T, server *awsserver.Server, store *awssource.Store) {
		for i := range 600 {
			server.Put(fmt.Sprintf("/mailer/mail/limits/k%03d", i), "String", "1")
		}
		server.Delay(300 * time.Millisecond)
		_, err := settings.Load(mailer{}, settings.From(store, "ssm:/mailer/"))
		if err == nil || !strings.Contains(err.Error(), "parameters were read within 15s, and there are more: give Settings.Timeout more time") {
			t.Errorf("the error is %v", err)
		}
		store = awssource.New(server.Config(), awssource.Settings{Timeout: time.Minute})
		got, err := settings.Load(mailer{}, settings.From(store, "ssm:/mailer/"))
		if err != nil || len(got.Mail.Limits) != 600 {
			t.Errorf("with more time: %d, %v", len(got.Mail.Limits), err)
		}
	})
}

// The user and the password of a secret are read at once, also if one address names the default stage: of two readings
// with a rotation between them, the password would be another user's.
func TestOneVersionOfASecret(t *testing.T) {
	serve(t, func(t *testing.T, server *awsserver.Server, store *awssource.Store) {
		server.PutSecret("db", `{"username":"u1","password":"hush-1"}`, "AWSCURRENT")
		follow(t, server, store, "mail: {from: 'secretsmanager:db#username', token: 'secretsmanager:db?stage=AWSCURRENT#password'}")
		if calls := server.Calls(); len(calls) != 1 {
			t.Errorf("%d readings of one secret", len(calls))
		}
	})
}

// The largest secret is 64 KiB, and may be of any bytes.
func TestLargeAndBinarySecrets(t *testing.T) {
	serve(t, func(t *testing.T, server *awsserver.Server, store *awssource.Store) {
		large := strings.Repeat("hush é", 64<<10/7)
		server.PutSecret("large", large, "AWSCURRENT")
		k := follow(t, server, store, "mail: {token: 'secretsmanager:large'}")
		if got := k.live.Get().Mail.Token.Reveal(); got != large {
			t.Errorf("%d bytes of %d", len(got), len(large))
		}
		data := []byte(strings.Repeat("\x00\xff", 32<<10))
		server.PutBinary("bytes", data)
		k = follow(t, server, store, "mail: {token: 'secretsmanager:bytes'}")
		if got := k.live.Get().Mail.Token.Reveal(); got != base64.StdEncoding.EncodeToString(data) {
			t.Errorf("a binary secret has %d characters", len(got))
		}
	})
}
