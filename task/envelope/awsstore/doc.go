// Package awsstore keeps the large arguments of tasks in S3, and wraps their data keys by
// AWS KMS: a [Store] and [Keys] for package envelope.
//
//	cfg, err := config.LoadDefaultConfig(ctx)
//	keys, err := awsstore.NewKeys(kms.NewFromConfig(cfg), "alias/task-arguments")
//	store, err := awsstore.NewStore(s3.NewFromConfig(cfg), "shop-task-arguments")
//	env, err := envelope.New(envelope.Config{Keys: keys, Store: store})
//	sys := chassis.MustNew("shop", chassis.WithEnvelope(env))
//
// # Ownership and concurrency
//
// Both hold the caller's client and nothing else, and are safe for several goroutines.
//
// # Debugging and testing
//
// Every error holds the one of the SDK, with its request id. The tests run against gofakes3
// and local-kms, which speak the two protocols.
package awsstore
