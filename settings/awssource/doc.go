// Package awssource reads settings from AWS: parameters of the SSM Parameter Store, secrets of Secrets Manager and
// configurations of AppConfig. It is a module of its own, so that a service that does not use it has none of its
// dependencies.
//
//	cfg, err := config.LoadDefaultConfig(ctx)
//	...
//	store := awssource.New(cfg, awssource.Settings{})
//	mine, use, err := chassis.Load(defaults(), append(chassis.Sources(), settings.From(store))...)
//
// Then a file, or a variable, refers to what AWS holds:
//
//	mail:
//	  token: ssm:/mailer/token                 # a parameter
//	  database: secretsmanager:mailer/db       # a secret that is a JSON object: a section
//	  password: secretsmanager:mailer/db#password
//
// The live page, `settings explain` and errors name the parameter and its version: ssm:/mailer/token v7.
//
// # Addresses
//
//	ssm:/mailer/token                        a parameter; :7 or :prod at its end is a version or a label
//	ssm:/mailer/                             all parameters below a path: /mailer/mail/token is mail.token
//	secretsmanager:mailer/db                 a secret, by name or ARN; its version AWSCURRENT
//	secretsmanager:mailer/db?stage=NAME      the version with another stage, like AWSPREVIOUS
//	secretsmanager:mailer/db#password        a key of a JSON object; of a parameter too
//	appconfig:shop/prod/main                 application, environment and profile, each by name or id
//
// A path, a secret that is a JSON object and an AppConfig profile can be sources as a whole:
//
//	settings.From(store, "ssm:/mailer/prod/", "appconfig:shop/prod/main")
//
// A SecureString and a secret are never shown, whatever setting they are the value of. A StringList is a list. A
// binary secret is given in base64.
//
// # Refreshing
//
// Parameters and secrets are read again every minute, give or take a tenth, and AppConfig as often as AppConfig
// says. Parameters are read ten by a request. What has changed is in force at once where the setting is tagged live.
// After the rotation of a password, a service may find out first: [Store.Refresh] reads at once.
//
// What cannot be read, or is not there any more, keeps its last value; the log has a warning, and [Store.Check] the
// reason:
//
//	sys.Check("aws-settings", store.Check, health.ForInformation())
//
// # Ownership
//
// A [Store] owns what it has read. One goroutine at a time asks AWS. The goroutine of Watch, which a system runs, ends
// with its ctx. All methods are safe from any goroutine.
//
// # Debugging and tests
//
// A test of a service needs no AWS: a variable in place of a reference hides it, and what is hidden is not read. To
// test with a server, set aws.Config.BaseEndpoint.
package awssource
