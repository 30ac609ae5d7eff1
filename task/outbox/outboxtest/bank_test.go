//go:build unix

package outboxtest

const bankEndpoint = "OUTBOXTEST_ENDPOINT"

func bankProcess() error { return nil }
