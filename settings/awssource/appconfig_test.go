package awssource_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/awssource"
	"github.com/sambatech/chassis/settings/awssource/internal/awsserver"
)

func TestAppConfig(t *testing.T) {
	serve(t, func(t *testing.T, aws *awsserver.Server, store *awssource.Store) {
		aws.Put("/from", "String", "a@b")
		aws.Deploy("shop/prod/main", "application/x-yaml", "12", []byte("mail:\n  batch: 8\n  from: ssm:/from\n"))
		aws.Poll("shop/prod/main", 90*time.Second)
		k := follow(t, aws, store, "mail: {batch: 1}", settings.From(store, "appconfig:shop/prod/main"))
		k.at("mail.batch", "8 # appconfig:shop/prod/main 12:2:10")
		k.at("mail.from", "a@b # ssm:/from v1: appconfig:shop/prod/main 12:3:9")
		aws.Calls()
		k.after(89 * time.Second)
		for _, call := range aws.Calls() {
			if strings.HasPrefix(call, "appconfig") {
				t.Error("it was polled before the server wants that")
			}
		}
		k.after(time.Hour) // unchanged answers
		k.logged()
		aws.Deploy("shop/prod/main", "application/json", "13", []byte(`{"mail": {"batch": 9}}`))
		k.after(2 * time.Minute)
		k.at("mail.batch", "9 # appconfig:shop/prod/main 13:1:20")
		k.logged("mail.batch from=8 to=9", "mail.from from=a@b")
		aws.Deploy("shop/prod/main", "application/json", "14", []byte(`{"mail": {"batch": 9`))
		k.after(2 * time.Minute)
		k.logged("level=ERROR", "appconfig:shop/prod/main 14:1:21", "the file ends too early")
		aws.Deploy("shop/prod/main", "application/json", "15", []byte(`{"mail": {"batch": 900}}`))
		k.after(2 * time.Minute)
		k.logged("level=ERROR", "appconfig:shop/prod/main 15:1:20: mail.batch")
		aws.Deploy("shop/prod/main", "application/json", "16", []byte(`{}`))
		k.after(2 * time.Minute)
		k.logged("level=WARN", "appconfig:shop/prod/main")
		if got := k.live.Get().Mail.Batch; got != 9 {
			t.Error(got)
		}
		aws.Deploy("shop/prod/main", "text/plain", "17", []byte(`mail.batch=7`))
		k.after(2 * time.Minute)
		k.logged("level=WARN", `its content type is \"text/plain\": give it application/json`)
		aws.Deploy("shop/prod/main", "application/json", "", []byte(`{"mail": {"batch": 10}}`))
		k.after(2 * time.Minute)
		k.at("mail.batch", "10 # appconfig:shop/prod/main sha256:8e43c0a3:1:20")
	})
}

// A token that is used up, lost or a day old is replaced, and the values stay meanwhile.
func TestAppConfigTokens(t *testing.T) {
	serve(t, func(t *testing.T, aws *awsserver.Server, store *awssource.Store) {
		aws.Deploy("a/b/c", "application/json", "1", []byte(`{"mail":{"batch":8}}`))
		k := follow(t, aws, store, "", settings.From(store, "appconfig:a/b/c"))
		aws.ForgetTokens()
		k.after(3 * time.Minute)
		k.logged()
		aws.Break(errors.New("down")) // for longer than a token lives
		k.after(30 * time.Hour)
		k.logged("level=WARN", "appconfig:a/b/c 1 stays in force", "down")
		aws.Deploy("a/b/c", "application/json", "2", []byte(`{"mail":{"batch":9}}`))
		aws.Break(nil)
		k.after(2 * time.Minute)
		k.logged("mail.batch from=8 to=9")
		aws.Poll("a/b/c", 24*time.Hour) // polled once a day: the token is replaced before it ends
		k.after(100 * time.Hour)
		k.logged()
	})
}

func TestAppConfigMistakes(t *testing.T) {
	serve(t, func(t *testing.T, aws *awsserver.Server, store *awssource.Store) {
		aws.Deploy("a/b/large", "application/json", "1", []byte(`{"mail":{"from":"`+strings.Repeat("x", 4<<20)+`"}}`))
		aws.Deploy("a/b/mine", "application/json", "1", []byte(`{}`))
		aws.Refuse("appconfig:StartConfigurationSession", "a/b/mine", true)
		for address, want := range map[string]string{
			"appconfig:a/b/large": "appconfig:a/b/large 1: it is larger than 4 MiB",
			"appconfig:a/b/none":  "appconfig:a/b/none: there is no configuration a/b/none in eu-central-1: create it",
			"appconfig:a/b/mine":  "appconfig:StartConfigurationSession is refused for configuration a/b/mine",
			"appconfig:a/b":       "a configuration is like appconfig:application/environment/profile",
		} {
			_, err := settings.Load(mailer{}, settings.From(store, address))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in: %v", want, err)
			}
		}
	})
}
