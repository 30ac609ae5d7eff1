// Package conformance is a suite that checks an SQS endpoint, whichever it is:
// all 23 operations, and the errors with their codes and AWS's words.
//
//	conformance.Run(t, conformance.Target{Client: client, Endpoint: url, HTTP: httpClient, Credentials: creds, Region: "us-east-1"})
//
// Its own tests run it against localsqs: in process, over loopback and on
// disk; or, with SQS_ENDPOINT set, against that URL instead:
//
//	SQS_ENDPOINT=http://127.0.0.1:4566 go test ./queue/localsqs/conformance -run TestEndpoint -v
//
// (SQS_REGION and AWS's variables for credentials are respected.) The suite
// makes queues of its own, with a prefix, and deletes them. It takes the time
// that the service's seconds take: some ten.
package conformance
