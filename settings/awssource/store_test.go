package awssource_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/awssource"
	"github.com/sambatech/chassis/settings/awssource/internal/awsserver"
)

func TestReferences(t *testing.T) {
	serve(t, func(t *testing.T, aws *awsserver.Server, store *awssource.Store) {
		for range 7 {
			aws.Put("/mailer/token", "SecureString", "hush-1")
		}
		aws.Put("/mailer/from", "String", "a@b.example")
		aws.Put("/mailer/hosts", "StringList", "a.example,[::1]")
		aws.Put("/mailer/batch", "String", "3")
		aws.Label("/mailer/batch", "prod", 1)
		aws.Put("/mailer/batch", "String", "30")
		aws.PutSecret("mailer/db", `{"host":"db","port":5432,"username":"hush-u","password":"hush-p"}`, "AWSCURRENT")
		k := follow(t, aws, store, `
mail:
  token: ssm:/mailer/token
  from: ssm:/mailer/from
  hosts: ssm:/mailer/hosts
  batch: ssm:/mailer/batch:prod
  database: secretsmanager:mailer/db
  limits: {eu: "ssm:/mailer/batch", us: 5}
`)
		got := k.live.Get().Mail
		want := mail{From: "a@b.example", Batch: 3, Hosts: []string{"a.example", "[::1]"},
			Token:    settings.NewSecret("hush-1"),
			Database: database{"db", 5432, "hush-u", settings.NewSecret("hush-p")}, Limits: map[string]int{"eu": 30, "us": 5}}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		k.at("mail.token", "[secret] # ssm:/mailer/token v7: mail.yaml:3:10")
		k.at("mail.from", "a@b.example # ssm:/mailer/from v1: mail.yaml:4:9")
		k.at("mail.batch", "3 # ssm:/mailer/batch:prod v1: mail.yaml:6:10")
		k.at("mail.limits.eu", "30 # ssm:/mailer/batch v2: mail.yaml:8:16")
		k.at("mail.database.username", "[secret] # secretsmanager:mailer/db 00000001: mail.yaml:7:13")
		if calls := aws.Calls(); len(calls) != 2 {
			t.Errorf("two services, and requests: %q", calls)
		}
	})
}

// A secret in a plain field is shown nowhere: not in what is in force, in no error and in no change.
func TestSecretInPlainField(t *testing.T) {
	serve(t, func(t *testing.T, aws *awsserver.Server, store *awssource.Store) {
		aws.Put("/mailer/from", "SecureString", "hush-1")
		k := follow(t, aws, store, "mail: {from: 'ssm:/mailer/from'}")
		k.at("mail.from", "[secret] # ssm:/mailer/from v1: mail.yaml:1:14")
		aws.Put("/mailer/from", "SecureString", "hush-2")
		k.after(2 * time.Minute)
		if got := k.live.Get().Mail.From; got != "hush-2" {
			t.Errorf("got %s", got)
		}
		k.logged(`setting=mail.from from=[secret] to=[secret]`)
		aws.Put("/mailer/from", "String", "hush-less") // it is public now, and was not: still not shown
		k.after(2 * time.Minute)
		k.log.take()
		aws.Put("/mailer/batch", "SecureString", "hush")
		_, err := settings.Load(mailer{}, settings.From(store),
			settings.Bytes("a.yaml", settings.YAML, []byte("mail: {batch: 'ssm:/mailer/batch'}")))
		if err == nil || strings.Contains(err.Error(), "hush") ||
			!strings.Contains(err.Error(), "ssm:/mailer/batch v1: a.yaml:1:15: mail.batch: expected a whole number, found a value that is not shown") {
			t.Error(err)
		}
	})
}

// What stronger sources hide is not read: a laptop without AWS sets a variable.
func TestHiddenReferenceIsNotRead(t *testing.T) {
	serve(t, func(t *testing.T, aws *awsserver.Server, store *awssource.Store) {
		aws.Hang(true)
		k := follow(t, aws, store, "mail: {token: 'ssm:/mailer/token', from: 'ssm::plain', hosts: ['https://x', 'a:b', 'ssm:']}",
			settings.Environ("M", []string{"M_MAIL__TOKEN=laptop"}))
		if got := k.live.Get().Mail; got.Token.Reveal() != "laptop" || got.From != "ssm:plain" ||
			!slices.Equal(got.Hosts, []string{"https://x", "a:b", "ssm:"}) {
			t.Errorf("%+v", got)
		}
		k.after(time.Hour)
		if calls := aws.Calls(); len(calls) > 0 {
			t.Error(calls)
		}
	})
}

// A variable changes one key of a section that is a secret.
func TestVariableOverSecret(t *testing.T) {
	serve(t, func(t *testing.T, aws *awsserver.Server, store *awssource.Store) {
		aws.PutSecret("db", `{"host":"db","port":5432,"password":"hush"}`, "AWSCURRENT")
		k := follow(t, aws, store, "mail: {database: 'secretsmanager:db'}",
			settings.Environ("M", []string{"M_MAIL__DATABASE__HOST=localhost", "M_MAIL__TOKEN=secretsmanager:db#password"}))
		if got := k.live.Get().Mail; got.Database.Host != "localhost" || got.Database.Port != 5432 || got.Token.Reveal() != "hush" {
			t.Errorf("%+v", got)
		}
		k.at("mail.database.host", "localhost # M_MAIL__DATABASE__HOST")
		k.at("mail.token", "[secret] # secretsmanager:db#password 00000001: M_MAIL__TOKEN")
	})
}

func TestPath(t *testing.T) {
	serve(t, func(t *testing.T, aws *awsserver.Server, store *awssource.Store) {
		aws.Put("/mailer/mail/token", "SecureString", "hush")
		aws.Put("/mailer/mail/from", "String", "a@b")
		aws.Put("/mailerother/mail/from", "String", "not ours")
		for i := range 25 { // three pages
			aws.Put(fmt.Sprintf("/mailer/mail/limits/k%02d", i), "String", fmt.Sprint(i))
		}
		k := follow(t, aws, store, "mail: {from: file, batch: 7}", settings.From(store, "ssm:/mailer/"))
		got := k.live.Get().Mail
		if got.From != "a@b" || got.Batch != 7 || len(got.Limits) != 25 || got.Limits["k24"] != 24 || got.Token.Reveal() != "hush" {
			t.Errorf("%+v", got)
		}
		k.at("mail.from", "a@b # ssm:/mailer/mail/from v1")
		k.at("mail.batch", "7 # mail.yaml:1:27")
		if calls := aws.Calls(); len(calls) != 4 {
			t.Errorf("an empty page and three: %q", calls)
		}
		aws.Put("/mailer/mail/from", "String", "c@d")
		aws.Put("/mailer/mail/batch", "String", "9")
		k.after(2 * time.Minute)
		if got := k.live.Get().Mail; got.From != "c@d" || got.Batch != 9 {
			t.Errorf("%+v", got)
		}
		k.at("mail.from", "c@d # ssm:/mailer/mail/from v2")
		k.logged("mail.from from=a@b to=c@d", "mail.batch from=7 to=9")
		aws.Delete("/mailer/mail/from") // what was there and is not stays
		k.after(2 * time.Minute)
		if got := k.live.Get().Mail; got.From != "c@d" {
			t.Errorf("%+v", got)
		}
		k.logged("level=WARN", "ssm:/mailer/mail/from gives nothing any more: the settings in force stay until it does")
	})
}

// A secret is rotated: each holder of the handle has the new one within the interval, never the pending one.
func TestRotation(t *testing.T) {
	serve(t, func(t *testing.T, aws *awsserver.Server, store *awssource.Store) {
		aws.PutSecret("db", `{"host":"db","password":"hush-1"}`, "AWSCURRENT")
		k := follow(t, aws, store, "mail: {database: 'secretsmanager:db', token: 'secretsmanager:db?stage=AWSCURRENT#password'}")
		handle := func() string { return k.live.Get().Mail.Database.Password.Reveal() }
		changed := k.live.Changed()
		pending := aws.PutSecret("db", `{"host":"db","password":"hush-2"}`, "AWSPENDING")
		k.after(5 * time.Minute)
		if handle() != "hush-1" {
			t.Error("the pending version is in force")
		}
		select {
		case <-changed:
			t.Error("a notice without a change")
		default:
		}
		k.logged()
		aws.Promote("db", pending)
		begun := time.Now()
		<-changed
		if took := time.Since(begun); took > awssource.DefaultInterval*11/10 {
			t.Errorf("the rotation took %v", took)
		}
		synctest.Wait()
		if handle() != "hush-2" || k.live.Get().Mail.Token.Reveal() != "hush-2" {
			t.Errorf("%q", handle())
		}
		k.at("mail.database.password", "[secret] # secretsmanager:db 00000002: mail.yaml:1:18")
		k.logged("mail.database.password from=[secret] to=[secret]")
	})
}

// A service whose password is refused asks at once, a thousand of its requests together once.
func TestRefresh(t *testing.T) {
	serve(t, func(t *testing.T, aws *awsserver.Server, store *awssource.Store) {
		aws.PutSecret("db", "hush-1", "AWSCURRENT")
		k := follow(t, aws, store, "mail: {token: 'secretsmanager:db'}")
		k.after(10 * time.Second)
		aws.Calls()
		aws.PutSecret("db", "hush-2", "AWSCURRENT")
		changed := k.live.Changed()
		for range 1000 {
			go func() { _ = store.Refresh(context.Background()) }()
		}
		<-changed
		if got := k.live.Get().Mail.Token.Reveal(); got != "hush-2" {
			t.Error(got)
		}
		synctest.Wait()
		if calls := aws.Calls(); len(calls) != 1 {
			t.Errorf("%d requests", len(calls))
		}
		aws.Hang(true)
		k.after(10 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := store.Refresh(ctx); err == nil {
			t.Error("no error of a refresh that had no time")
		}
		aws.Hang(false)
	})
}

// A wrong value keeps the old one, and the error has the parameter and its version.
func TestWrongValue(t *testing.T) {
	serve(t, func(t *testing.T, aws *awsserver.Server, store *awssource.Store) {
		aws.Put("/b", "String", "8")
		k := follow(t, aws, store, "mail: {batch: 'ssm:/b'}")
		for _, wrong := range []struct{ value, text string }{
			{"many", `ssm:/b v2: mail.yaml:1:15: mail.batch: expected a whole number, found \"many\"`},
			{"65", `ssm:/b v3: mail.yaml:1:15: mail.batch:`},
		} {
			aws.Put("/b", "String", wrong.value)
			k.after(2 * time.Minute)
			if got := k.live.Get().Mail.Batch; got != 8 {
				t.Errorf("%d is in force", got)
			}
			k.logged("level=ERROR", "the settings have a mistake: those in force stay", wrong.text)
			k.after(10 * time.Minute)
			k.logged() // once
		}
		aws.Put("/b", "String", "9")
		k.after(2 * time.Minute)
		k.logged("mail.batch from=8 to=9")
	})
}

// SSM is consistent after a while: an answer that is older than what is known changes nothing. A parameter that was deleted
// and made again is newer, with a lower version; a label may go back.
func TestOlderAnswer(t *testing.T) {
	serve(t, func(t *testing.T, aws *awsserver.Server, store *awssource.Store) {
		aws.Put("/b", "String", "1")
		aws.Label("/b", "prod", 1)
		time.Sleep(time.Second)
		aws.Put("/b", "String", "2")
		aws.Label("/b", "prod", 2)
		k := follow(t, aws, store, "mail: {batch: 'ssm:/b', limits: {a: 'ssm:/b:prod'}}")
		aws.Lag("/b", 2)
		k.after(5 * time.Minute)
		k.logged()
		aws.Label("/b", "prod", 1)
		k.after(2 * time.Minute)
		k.logged("mail.limits.a from=2 to=1")
		aws.Delete("/b")
		aws.Put("/b", "String", "3")
		aws.Label("/b", "prod", 1)
		k.after(2 * time.Minute)
		k.logged("mail.batch from=2 to=3")
		k.at("mail.batch", "3 # ssm:/b v1: mail.yaml:1:15")
	})
}

// AWS away later: the values stay, one warning, a reason in the check, and word when it is over.
func TestAwayLater(t *testing.T) {
	serve(t, func(t *testing.T, aws *awsserver.Server, store *awssource.Store) {
		aws.Put("/b", "String", "8")
		k := follow(t, aws, store, "mail: {batch: 'ssm:/b'}")
		if err := store.Check(t.Context()); err != nil {
			t.Error(err)
		}
		aws.Break(errors.New("connection refused"))
		k.after(10 * time.Minute)
		k.logged("level=WARN", "a store of settings cannot be read: the settings in force stay", "connection refused",
			"ssm:/b v1 stays in force", "check the network")
		err := store.Check(t.Context())
		if err == nil || !strings.Contains(err.Error(), "ssm:/b v1 stays in force: ssm:GetParameters of parameter /b: AWS in eu-central-1 cannot be reached") {
			t.Error(err)
		}
		k.after(10 * time.Minute)
		k.logged() // once
		if k.live.Get().Mail.Batch != 8 {
			t.Error(k.live.Get().Mail.Batch)
		}
		aws.Break(nil)
		k.after(2 * time.Minute)
		k.logged("level=INFO", "the settings can be read again, and have not changed")
		if err := store.Check(t.Context()); err != nil {
			t.Error(err)
		}
		aws.Delete("/b")
		k.after(2 * time.Minute)
		k.logged("level=WARN", "ssm:/b v1 stays in force: there is no parameter /b in eu-central-1")
		aws.Put("/b", "String", "10")
		k.after(2 * time.Minute)
		k.logged("mail.batch from=8 to=10")
	})
}

func TestAwayAtStart(t *testing.T) {
	serve(t, func(t *testing.T, aws *awsserver.Server, store *awssource.Store) {
		aws.Hang(true)
		begun := time.Now()
		_, err := settings.Load(mailer{}, settings.From(store),
			settings.Bytes("mail.yaml", settings.YAML, []byte("mail:\n  batch: ssm:/b\n  token: secretsmanager:t")))
		if took := time.Since(begun); took > awssource.DefaultTimeout+time.Second {
			t.Errorf("it took %v", took)
		}
		for _, want := range []string{
			"mail.yaml:2:10: mail.batch: ssm:/b: ssm:GetParameters of parameter /b: AWS in eu-central-1 gave no answer within 15s: check the network (a VPC endpoint or a NAT gateway)",
			"mail.yaml:3:10: mail.token: secretsmanager:t: secretsmanager:GetSecretValue of secret t: AWS in eu-central-1 gave no answer",
		} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in: %v", want, err)
			}
		}
		// An optional source starts on the others, says so, and counts once it is there.
		aws.Put("/mailer/mail/batch", "String", "8")
		aws.Hang(false)
		aws.Break(errors.New("no route to host"))
		k := follow(t, aws, awssource.New(aws.Config(), awssource.Settings{Timeout: 3 * time.Second}), "mail: {batch: 2}",
			settings.FromOptional(store, "ssm:/mailer/"))
		if got := k.live.Get().Mail.Batch; got != 2 {
			t.Error(got)
		}
		k.after(time.Second)
		k.logged("level=WARN", "no route to host")
		aws.Break(nil)
		k.after(2 * time.Minute)
		if got := k.live.Get().Mail.Batch; got != 8 {
			t.Error(got)
		}
		k.logged("mail.batch from=2 to=8")
	})
}

// A refused right names the action and the resource, and refuses no other parameter.
func TestRefused(t *testing.T) {
	serve(t, func(t *testing.T, aws *awsserver.Server, store *awssource.Store) {
		aws.Put("/a", "String", "a")
		aws.Put("/b", "String", "8")
		aws.Refuse("ssm:GetParameters", "/b", true)
		aws.Refuse("ssm:GetParametersByPath", "/p", true)
		aws.Refuse("secretsmanager:GetSecretValue", "db", true)
		_, err := settings.Load(mailer{}, settings.From(store, "ssm:/p/"), settings.Bytes("mail.yaml", settings.YAML,
			[]byte("mail: {from: 'ssm:/a', batch: 'ssm:/b', token: 'secretsmanager:db#x', hosts: ['ssm:/none']}")))
		if err == nil {
			t.Fatal("no error")
		}
		for _, want := range []string{
			"mail.batch: ssm:/b: ssm:GetParameters is refused for parameter /b in eu-central-1",
			"on resource: arn:aws:ssm:eu-central-1:123456789012:parameter/b",
			"ssm:/p/: ssm:GetParametersByPath is refused for path /p/",
			"mail.token: secretsmanager:db#x: secretsmanager:GetSecretValue is refused for secret db",
			"mail.hosts.0: ssm:/none: there is no parameter /none in eu-central-1: create it",
			"kms:Decrypt",
		} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in:\n%v", want, err)
			}
		}
		if strings.Contains(err.Error(), "ssm:/a") {
			t.Errorf("a parameter that may be read is an error:\n%v", err)
		}
	})
}

// The SDK tries again what AWS throttles; what it gives up keeps the old value.
func TestThrottled(t *testing.T) {
	serve(t, func(t *testing.T, aws *awsserver.Server, store *awssource.Store) {
		aws.Put("/b", "String", "8")
		aws.Throttle(2)
		k := follow(t, aws, store, "mail: {batch: 'ssm:/b'}")
		if got := k.live.Get().Mail.Batch; got != 8 {
			t.Error(got)
		}
		aws.Throttle(1000)
		k.after(3 * time.Minute)
		k.logged("level=WARN", "ssm:/b v1 stays in force: ssm:GetParameters of parameter /b in eu-central-1 is throttled, after all tries")
		aws.Throttle(0)
		k.after(2 * time.Minute)
		k.logged("can be read again")
	})
}

// Processes that start at the same time do not ask at the same time, and none asks for more than it needs.
func TestJitterAndRequests(t *testing.T) {
	serve(t, func(t *testing.T, aws *awsserver.Server, store *awssource.Store) {
		var yaml strings.Builder
		yaml.WriteString("mail:\n  limits:\n")
		for i := range 31 {
			aws.Put(fmt.Sprintf("/k/%d", i), "String", fmt.Sprint(i))
			fmt.Fprintf(&yaml, "    k%d: ssm:/k/%d\n    again%d: ssm:/k/%d\n", i, i, i, i)
		}
		var stores []*awssource.Store
		for range 20 {
			stores = append(stores, awssource.New(aws.Config(), awssource.Settings{}))
			follow(t, aws, stores[len(stores)-1], yaml.String())
		}
		if calls := aws.Calls(); len(calls) != 20*4 {
			t.Errorf("%d requests at the start of 20 processes with 31 parameters", len(calls))
		}
		most := 0
		for range 60 * 10 {
			time.Sleep(time.Second)
			synctest.Wait()
			most = max(most, len(aws.Calls()))
		}
		if most == 0 || most > 12*4 {
			t.Errorf("%d requests in one second", most)
		}
	})
}
