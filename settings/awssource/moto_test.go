package awssource_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/awssource"
)

// moto starts moto's server, which others use in place of AWS. It has no AppConfig data plane.
func moto(t *testing.T) aws.Config {
	t.Helper()
	program, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("moto_server is not installed: pip install 'moto[server]'")
	}
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	var out bytes.Buffer
	cmd := exec.Command(program, "-H", "127.0.0.1", "-p", port)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = cmd.Process.Kill()
		<-ended
	})
	endpoint := "http://127.0.0.1:" + port
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) { // another process: its start is in real time
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			_ = c.Close()
			break
		}
		select {
		case <-ended:
			t.Skipf("moto_server does not run here: %s", out.String())
		default:
		}
		if time.Since(begun) > time.Minute {
			t.Fatal("moto_server does not listen")
		}
	}
	return aws.Config{Region: "eu-central-1", BaseEndpoint: &endpoint, HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "key", "")}
}

func TestMoto(t *testing.T) {
	cfg := moto(t)
	ctx := context.Background()
	parameters, secrets := ssm.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg)
	put := func(name string, kind types.ParameterType, value string) {
		t.Helper()
		if _, err := parameters.PutParameter(ctx, &ssm.PutParameterInput{Name: &name, Type: kind, Value: &value,
			Overwrite: aws.Bool(true)}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 23 {
		put(fmt.Sprintf("/mailer/mail/limits/k%d", i), types.ParameterTypeString, fmt.Sprint(i))
	}
	put("/mailer/mail/hosts", types.ParameterTypeStringList, "a,b")
	put("/other/token", types.ParameterTypeSecureString, "hush-1")
	put("/other/token", types.ParameterTypeSecureString, "hush-2")
	db, err := secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("mailer/db"),
		SecretString: aws.String(`{"host":"db","password":"hush-3"}`)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("binary"),
		SecretBinary: []byte{0, 255, 1}}); err != nil {
		t.Fatal(err)
	}
	store := awssource.New(cfg, awssource.Settings{})
	load := func() (mailer, *settings.Tree) {
		t.Helper()
		tree, err := settings.Open(settings.From(store, "ssm:/mailer/"), settings.Bytes("m.yaml", settings.YAML, []byte(`
mail:
  token: ssm:/other/token
  from: secretsmanager:binary
  database: `+*db.ARN)), settings.Bytes("n.yaml", settings.YAML, []byte("mail: {database: 'secretsmanager:"+*db.ARN+"'}")))
		if err != nil {
			t.Fatal(err)
		}
		got, err := settings.Decode(tree, mailer{})
		if err != nil {
			t.Fatal(err)
		}
		return got, tree
	}
	got, tree := load()
	if m := got.Mail; len(m.Limits) != 23 || m.Limits["k22"] != 22 || len(m.Hosts) != 2 || m.Token.Reveal() != "hush-2" ||
		m.From != "AP8B" || m.Database.Password.Reveal() != "hush-3" {
		t.Errorf("%+v", m)
	}
	if pos, _ := tree.Position("mail.token"); pos.String() != "ssm:/other/token v2: m.yaml:3:10" {
		t.Error(pos)
	}
	if _, err := secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: db.ARN,
		SecretString: aws.String(`{"host":"db","password":"hush-4"}`)}); err != nil {
		t.Fatal(err)
	}
	put("/other/token", types.ParameterTypeSecureString, "hush-5")
	again := awssource.New(cfg, awssource.Settings{})
	store, before := again, store
	if got, _ := load(); got.Mail.Token.Reveal() != "hush-5" || got.Mail.Database.Password.Reveal() != "hush-4" {
		t.Errorf("%+v", got)
	}
	old := before.Read(ctx, []string{"secretsmanager:mailer/db?stage=AWSPREVIOUS#password", "secretsmanager:none", "ssm:/none", "ssm:/none/"})
	if string(old[0].Data) != "hush-3" || !strings.HasSuffix(old[0].Version, " AWSPREVIOUS") {
		t.Errorf("%s %s %v", old[0].Data, old[0].Version, old[0].Err)
	}
	for i, want := range []string{"there is no secret none", "there is no parameter /none", "there is no parameter below /none/"} {
		if old[i+1].Err == nil || !strings.Contains(old[i+1].Err.Error(), want) {
			t.Error(old[i+1].Err)
		}
	}
}
