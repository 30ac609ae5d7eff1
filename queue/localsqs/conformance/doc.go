// Package conformance is a suite of tests that checks an SQS endpoint: all 23
// operations, and the errors with their codes and AWS's words.
//
// It runs against localsqs: in process, over loopback and on disk. With
// SQS_ENDPOINT set it runs against that URL:
//
//	SQS_ENDPOINT=http://127.0.0.1:4566 go test ./queue/localsqs/conformance -run TestEndpoint -v
//
// (SQS_REGION and AWS's variables for credentials are respected.) The suite
// makes queues of its own, with a prefix, and deletes them. It takes the time
// that the service's seconds take: some ten.
package conformance
