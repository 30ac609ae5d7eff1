package awssource_test

import (
	"fmt"
	"log"
	"os"

	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/awssource"
	"github.com/sambatech/chassis/settings/awssource/internal/awsserver"
)

func Example() {
	// In a service: cfg, err := config.LoadDefaultConfig(ctx)
	aws := awsserver.New()
	aws.Put("/mailer/mail/from", "String", "no-reply@example.com")
	aws.Put("/mailer/mail/token", "SecureString", "b1e55ed")
	aws.PutSecret("mailer/db", `{"host":"db.internal","port":5432,"password":"5eed"}`, "AWSCURRENT")
	cfg := aws.Config()

	store := awssource.New(cfg, awssource.Settings{})
	sources := []settings.Option{ // of a service: chassis.Sources()
		settings.Bytes("chassis.yaml", settings.YAML, []byte("mail:\n  batch: 8\n  database: secretsmanager:mailer/db\n")),
		settings.Environ("MAILER", []string{"MAILER_MAIL__DATABASE__HOST=localhost"}),
		settings.From(store, "ssm:/mailer/"),
	}
	got, err := settings.Load(mailer{}, sources...)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got.Mail.From, got.Mail.Token, got.Mail.Database.Port)

	layout, err := settings.LayoutOf(mailer{})
	if err != nil {
		log.Fatal(err)
	}
	entries, err := layout.Explain(sources...)
	if err != nil {
		log.Fatal(err)
	}
	_ = settings.WriteExplain(os.Stdout, entries)
	// Output:
	// no-reply@example.com [secret] 5432
	// mail.from = no-reply@example.com   # ssm:/mailer/mail/from v1
	// mail.batch = 8                     # chassis.yaml:2:10
	// mail.hosts = []                    # default
	// mail.token = [secret]              # ssm:/mailer/mail/token v1
	// mail.database.host = localhost     # MAILER_MAIL__DATABASE__HOST
	//     over [secret]  # secretsmanager:mailer/db 00000001: chassis.yaml:3:13
	// mail.database.port = [secret]      # secretsmanager:mailer/db 00000001: chassis.yaml:3:13
	// mail.database.username =           # default
	// mail.database.password = [secret]  # secretsmanager:mailer/db 00000001: chassis.yaml:3:13
	// mail.limits = {}                   # default
}
